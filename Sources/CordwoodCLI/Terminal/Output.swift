import Synchronization

/// Standard output, buffered. Any task may write; a line is never split by another's.
///
/// When the reader goes away, the next flush throws ``Output/closed``, which ends the command
/// quietly with the status that SIGPIPE would have given.
final class Output: Sendable {
    static let standard = Output()
    static let closed = CommandError(nil, status: ExitStatus.signal(13))

    private static let bufferBytes = 1 << 16
    private let buffer = Mutex<[UInt8]>([])

    func line(_ text: String) throws(CommandError) {
        try line(Array(text.utf8))
    }

    func line(_ bytes: [UInt8]) throws(CommandError) {
        try buffer.withLock { buffer throws(CommandError) in
            buffer += bytes
            buffer.append(UInt8(ascii: "\n"))
            if buffer.count >= Self.bufferBytes { try Self.write(&buffer) }
        }
    }

    func flush() throws(CommandError) {
        try buffer.withLock { buffer throws(CommandError) in try Self.write(&buffer) }
    }

    private static func write(_ buffer: inout [UInt8]) throws(CommandError) {
        do throws(FileDescriptor.Failure) {
            try FileDescriptor.writeAll(buffer, to: FileDescriptor.standardOutput)
            buffer.removeAll(keepingCapacity: true)
        } catch {
            // What cannot be written now will not be written by a later flush either.
            buffer.removeAll()
            if error.isBrokenPipe { throw closed }
            throw CommandError("cannot write to standard output: \(error.reason)")
        }
    }
}
