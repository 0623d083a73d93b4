import CLZ4
import CordwoodStorage

/// lz4 frames, by the library's frame interface. Checksums and sizes that a frame states are held
/// against its bytes.
enum LZ4 {
    /// Inflates every frame, one behind the other; frames to be skipped are.
    ///
    /// With a context of its own, which is cheap to make, and may have grown to 8 MiB afterwards: a
    /// frame chooses the size of its blocks.
    static func inflate(
        _ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer
    ) throws(CompressionProblem) {
        try Decoder().inflate(bytes, into: &output)
    }

    /// Compresses into one frame of independent blocks of 64 KiB: Kafka's readers know no others.
    static func compress(
        _ bytes: UnsafeRawBufferPointer, level: Int, into output: inout GrowingBuffer
    ) {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.compressionLevel = Int32(level)
        let bound = LZ4F_compressFrameBound(bytes.count, &preferences)
        precondition(output.reserve(bound), "the buffer is smaller than lz4's bound")
        let room = output.room
        let size = LZ4F_compressFrame(
            room.baseAddress, room.count, bytes.baseAddress, bytes.count, &preferences)
        precondition(LZ4F_isError(size) == 0, "lz4's bound holds")
        output.advance(size)
    }

    /// The library's state; with a frame's blocks, up to 8 MiB.
    private final class Decoder {
        private let context: OpaquePointer

        init() {
            var context: OpaquePointer?
            let result = LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
            guard LZ4F_isError(result) == 0, let context else { fatalError("lz4 has no memory") }
            self.context = context
        }

        deinit { LZ4F_freeDecompressionContext(context) }

        func inflate(
            _ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer
        ) throws(CompressionProblem) {
            guard let start = bytes.baseAddress, !bytes.isEmpty else { throw .truncated }
            var position = 0
            // Each turn takes input or fills room, or else it ends.
            while true {
                guard output.grow() else { throw .tooLarge(limit: output.limit - 1) }
                let room = output.room
                var taken = bytes.count - position
                var made = room.count
                let result = LZ4F_decompress(
                    context, room.baseAddress, &made, start + position, &taken, nil)
                guard LZ4F_isError(result) == 0 else {
                    throw .corrupt(String(cString: LZ4F_getErrorName(result)))
                }
                position += taken
                output.advance(made)
                if result == 0 && position == bytes.count { return }
                if taken == 0 && made == 0 { throw .truncated }
            }
        }
    }
}
