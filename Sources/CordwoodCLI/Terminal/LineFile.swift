#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A text file read some lines at a time, so that its size does not matter.
///
/// `@unchecked Sendable`: calls block, so it is handed to a ``BlockingThread``; one task at a time
/// uses it.
final class LineFile: @unchecked Sendable {
    static let maximumLineBytes = 1 << 20
    private static let readBytes = 1 << 18

    let path: String
    private let descriptor: Int32
    private var lineCount = 0
    private var waiting: [UInt8] = []
    /// How much of `waiting` has been handed over.
    private var position = 0
    private var isAtEnd = false

    init(_ path: String) throws(CommandError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw CommandError("cannot open \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { if descriptor >= 0 { _ = close(descriptor) } }

    /// At most `count` lines, without their line breaks; none at the end.
    func next(_ count: Int) throws(CommandError) -> [String] {
        var lines: [String] = []
        while lines.count < count, let line = try nextLine() { lines.append(line) }
        return lines
    }

    /// How many lines a file has.
    static func count(_ path: String) throws(CommandError) -> Int {
        let file = try LineFile(path)
        while !(try file.next(4096)).isEmpty {}
        return file.lineCount
    }

    private func nextLine() throws(CommandError) -> String? {
        var end = waiting[position...].firstIndex(of: UInt8(ascii: "\n"))
        while end == nil, !isAtEnd {
            let unread = waiting.count - position
            guard unread <= Self.maximumLineBytes else {
                throw CommandError(
                    "line \(lineCount + 1) of \(path) is too long: expected at most "
                        + "\(Self.maximumLineBytes) bytes")
            }
            let more = try read()
            isAtEnd = more.isEmpty
            waiting.removeFirst(position)
            position = 0
            waiting += more
            end = waiting[unread...].firstIndex(of: UInt8(ascii: "\n"))
        }
        guard end != nil || position < waiting.count else { return nil }
        let stop = end ?? waiting.count
        defer { position = min(stop + 1, waiting.count) }
        lineCount += 1
        guard let line = String(validating: waiting[position..<stop], as: UTF8.self) else {
            throw CommandError("line \(lineCount) of \(path) is not UTF-8")
        }
        return line
    }

    private func read() throws(CommandError) -> [UInt8] {
        do throws(FileDescriptor.Failure) {
            return try FileDescriptor.readSome(descriptor, capacity: Self.readBytes)
        } catch {
            throw CommandError("cannot read \(path): \(error.reason)")
        }
    }
}
