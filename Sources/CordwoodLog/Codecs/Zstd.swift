import CZstd
import CordwoodStorage

/// zstd frames.
///
/// Inflates in one call into the whole output, because streaming makes the library allocate the
/// window that a frame asks for, up to 128 MiB on the word of its header. A frame that states its
/// size costs one call; for others the room doubles until it suffices, which costs at most twice
/// the work.
enum Zstd {
    private static let decoders = ContextPool<Decoder>()
    private static let encoders = ContextPool<Encoder>()
    /// A block makes at most 128 KiB and takes at least three bytes, which bounds what a frame can
    /// hold whatever it states.
    private static let maximumBlockBytes = 128 << 10
    private static let minimumBlockBytes = 3
    private static let frameMagic: UInt32 = 0xFD2F_B528
    /// The first of sixteen.
    private static let skippableMagic: UInt32 = 0x184D_2A50

    /// Inflates every frame, one behind the other; frames to be skipped are.
    static func inflate(
        _ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer
    ) throws(CompressionProblem) {
        guard !bytes.isEmpty else { throw .truncated }
        try checkFrames(bytes)
        let stated = ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count)
        guard stated != cordwood_zstd_size_error else { throw .corrupt("no zstd frame") }
        let most = (bytes.count / minimumBlockBytes + 1) * maximumBlockBytes
        var size = bytes.count * 8
        if stated != cordwood_zstd_size_unknown {
            guard let exact = Int(exactly: stated), exact <= most else {
                throw .corrupt("a frame that claims to hold \(stated) bytes")
            }
            guard exact < output.limit else { throw .tooLarge(limit: output.limit - 1) }
            size = exact
        }
        try decoders.withContext(make: Decoder.init) { (decoder) throws(CompressionProblem) in
            // Room at least doubles with each turn.
            while true {
                let fits = output.reserve(min(max(size, 1), output.limit))
                precondition(fits, "the room is at most the limit")
                let room = output.room
                let result = ZSTD_decompressDCtx(
                    decoder.context, room.baseAddress, room.count, bytes.baseAddress, bytes.count)
                guard ZSTD_isError(result) != 0 else { return output.advance(result) }
                switch ZSTD_getErrorCode(result) {
                case ZSTD_error_dstSize_tooSmall:
                    guard room.count < output.limit else {
                        throw .tooLarge(limit: output.limit - 1)
                    }
                    size = room.count * 2
                case ZSTD_error_srcSize_wrong: throw .truncated
                case ZSTD_error_memory_allocation: fatalError("zstd has no memory")
                default: throw .corrupt(String(cString: ZSTD_getErrorName(result)))
                }
            }
        }
    }

    /// Refuses what is no frame of the format that RFC 8878 describes. A library may be built to read
    /// the formats before it, too, by code that nobody has looked at for years. O(blocks).
    private static func checkFrames(
        _ bytes: UnsafeRawBufferPointer
    ) throws(CompressionProblem) {
        var position = 0
        while position < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
            var reader = ByteReader(rest)
            guard let magic = reader.littleEndian(UInt32.self) else { throw .truncated }
            guard magic == frameMagic || magic & ~0xF == skippableMagic else {
                throw .corrupt("no zstd frame at byte \(position)")
            }
            let size = ZSTD_findFrameCompressedSize(rest.baseAddress, rest.count)
            guard ZSTD_isError(size) == 0 else {
                throw ZSTD_getErrorCode(size) == ZSTD_error_srcSize_wrong
                    ? .truncated : .corrupt(String(cString: ZSTD_getErrorName(size)))
            }
            position += size
        }
    }

    static func compress(
        _ bytes: UnsafeRawBufferPointer, level: Int, into output: inout GrowingBuffer
    ) {
        let bound = ZSTD_compressBound(bytes.count)
        precondition(output.reserve(bound), "the buffer is smaller than zstd's bound")
        let room = output.room
        let result = encoders.withContext(make: Encoder.init) { encoder in
            ZSTD_compressCCtx(
                encoder.context, room.baseAddress, room.count, bytes.baseAddress, bytes.count,
                Int32(level))
        }
        guard ZSTD_isError(result) == 0 else {
            fatalError("zstd: \(String(cString: ZSTD_getErrorName(result)))")
        }
        output.advance(result)
    }

    private final class Decoder {
        let context: OpaquePointer

        init() {
            guard let context = ZSTD_createDCtx() else { fatalError("zstd has no memory") }
            self.context = context
        }

        deinit { ZSTD_freeDCtx(context) }
    }

    private final class Encoder {
        let context: OpaquePointer

        init() {
            guard let context = ZSTD_createCCtx() else { fatalError("zstd has no memory") }
            self.context = context
        }

        deinit { ZSTD_freeCCtx(context) }
    }
}
