#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Thin calls of the system, retried when a signal interrupts them.
enum FileDescriptor {
    static let standardInput: Int32 = 0
    static let standardOutput: Int32 = 1
    static let standardError: Int32 = 2

    struct Failure: Error {
        var number: Int32
        var isBrokenPipe: Bool { number == EPIPE }
        var reason: String { String(cString: strerror(number)) }
    }

    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Writes all the bytes; blocks while the reader is slow.
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Failure) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(number: errno)
            }
            written += count
        }
    }

    /// Reads what is there, at most `capacity` bytes; waits for the first. Empty at the end.
    static func readSome(_ descriptor: Int32, capacity: Int) throws(Failure) -> [UInt8] {
        var failure: Failure?
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            while true {
                let count = read(descriptor, buffer.baseAddress, capacity)
                if count >= 0 {
                    filled = count
                    return
                }
                if errno != EINTR {
                    failure = Failure(number: errno)
                    return
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    static func report(_ line: String) {
        // There is nobody left to tell when standard error itself cannot be written.
        try? writeAll(Array((line + "\n").utf8), to: standardError)
    }
}
