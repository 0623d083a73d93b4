import CZlib
import CordwoodStorage

/// gzip members (RFC 1952) by zlib.
enum Gzip {
    private static let inflaters = ContextPool<Inflater>()

    /// Inflates every member, one behind the other, as Kafka's reader does.
    static func inflate(
        _ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer
    ) throws(CompressionProblem) {
        try inflaters.withContext(make: Inflater.init) { (inflater) throws(CompressionProblem) in
            try inflater.inflate(bytes, into: &output)
        }
    }

    /// Compresses into one member without a name or a time, so that equal records give equal bytes.
    static func compress(
        _ bytes: UnsafeRawBufferPointer, level: Int, into output: inout GrowingBuffer
    ) {
        var stream = z_stream()
        guard cordwood_gzip_deflate_init(&stream, Int32(level)) == Z_OK else {
            fatalError("zlib has no memory, or no level \(level)")
        }
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, UInt(bytes.count)))
        precondition(output.reserve(bound), "the buffer is smaller than zlib's bound")
        let room = output.room
        stream.next_in = UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.avail_in = UInt32(bytes.count)
        stream.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.avail_out = UInt32(room.count)
        let result = deflate(&stream, Z_FINISH)
        precondition(result == Z_STREAM_END, "zlib's bound holds for one call with Z_FINISH")
        output.advance(room.count - Int(stream.avail_out))
    }

    /// zlib's state and window, 40 KB. At a fixed address, which zlib's state points back to.
    private final class Inflater {
        private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

        init() {
            stream.initialize(to: z_stream())
            guard cordwood_gzip_inflate_init(stream) == Z_OK else {
                fatalError("zlib has no memory")
            }
        }

        deinit {
            inflateEnd(stream)
            stream.deallocate()
        }

        func inflate(
            _ bytes: UnsafeRawBufferPointer, into output: inout GrowingBuffer
        ) throws(CompressionProblem) {
            inflateReset(stream)
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = UInt32(bytes.count)
            // The memory is the caller's again when this returns.
            defer { stream.pointee.next_in = nil }
            // Each turn takes input or fills room, or else it ends.
            while true {
                guard output.grow() else { throw .tooLarge(limit: output.limit - 1) }
                let room = output.room
                stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(room.count)
                let result = CZlib.inflate(stream, Z_NO_FLUSH)
                output.advance(room.count - Int(stream.pointee.avail_out))
                switch result {
                case Z_STREAM_END:
                    if stream.pointee.avail_in == 0 { return }
                    inflateReset(stream)
                case Z_OK: continue
                case Z_BUF_ERROR: throw .truncated
                case Z_NEED_DICT: throw .corrupt("it needs a dictionary")
                case Z_MEM_ERROR: fatalError("zlib has no memory")
                default:
                    throw .corrupt(
                        stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(result)")
                }
            }
        }
    }
}
