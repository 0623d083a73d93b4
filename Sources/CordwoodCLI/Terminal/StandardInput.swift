#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The lines of standard input, read by a thread and handed over as many at a time as have
/// arrived: one when a person types, thousands when a file is piped in.
///
/// Bounded: it holds at most one read and one unfinished line. Used by one task at a time.
final class StandardInput {
    /// The longest line, which is the largest record batch that the log takes by default.
    static let maximumLineBytes = 1_048_588
    private static let readBytes = 1 << 18

    /// How many lines have been completed.
    private var lineCount = 0
    private var unfinished: [UInt8] = []
    private var isAtEnd = false
    /// What is wrong with the line after those that were handed over.
    private var failure: CommandError?
    private let wake: WakePipe

    init() throws(CommandError) { wake = try WakePipe() }

    /// Ends the reading, from any task: the next lines are nil.
    var stop: @Sendable () -> Void {
        let wake = self.wake
        return { wake.signal() }
    }

    /// The next lines, without their line breaks, at least one; nil at the end or when the task is
    /// cancelled. A last line without a line break counts. Throws at the first line that cannot be
    /// taken, after all before it were handed over.
    func nextLines() async throws(CommandError) -> [[UInt8]]? {
        while !isAtEnd {
            if let failure { throw failure }
            let wake = self.wake
            let read = await withTaskCancellationHandler {
                await BlockingThread.run { wake.readWhenReady(Self.readBytes) }
            } onCancel: {
                wake.signal()
            }
            switch read {
            case .bytes(let bytes):
                let lines = split(bytes)
                if !lines.isEmpty { return lines }
            case .end:
                isAtEnd = true
                if !unfinished.isEmpty { return [take()] }
            case .cancelled: return nil
            case .failed(let reason):
                throw CommandError("cannot read standard input: \(reason)")
            }
        }
        return nil
    }

    private func split(_ bytes: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = bytes[...]
        while failure == nil, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            extend(by: rest[..<end])
            if failure == nil { lines.append(take()) }
            rest = rest[(end + 1)...]
        }
        extend(by: rest)
        return lines
    }

    private func extend(by bytes: ArraySlice<UInt8>) {
        guard failure == nil else { return }
        unfinished += bytes
        if unfinished.count > Self.maximumLineBytes {
            failure = CommandError(
                "line \(lineCount + 1) of standard input is too long: expected at most "
                    + "\(Self.maximumLineBytes) bytes, found at least \(unfinished.count)")
        }
    }

    private func take() -> [UInt8] {
        defer { unfinished = [] }
        lineCount += 1
        return unfinished
    }
}

/// Lets a cancelled task call back the thread that waits for standard input.
private final class WakePipe: Sendable {
    enum Read: Sendable {
        case bytes([UInt8])
        case end
        case cancelled
        case failed(String)
    }

    private let readEnd: Int32
    private let writeEnd: Int32

    init() throws(CommandError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw CommandError("cannot make a pipe: \(String(cString: strerror(errno)))")
        }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Stays signalled. The pipe never fills: there are few who may stop the reading, once each.
    func signal() { try? FileDescriptor.writeAll([0], to: writeEnd) }

    func readWhenReady(_ capacity: Int) -> Read {
        var waiting = [
            pollfd(fd: FileDescriptor.standardInput, events: Int16(POLLIN), revents: 0),
            pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&waiting, 2, -1) < 0 {
            if errno != EINTR { return .failed(String(cString: strerror(errno))) }
        }
        if waiting[1].revents != 0 { return .cancelled }
        do throws(FileDescriptor.Failure) {
            let bytes = try FileDescriptor.readSome(
                FileDescriptor.standardInput, capacity: capacity)
            return bytes.isEmpty ? .end : .bytes(bytes)
        } catch {
            return .failed(error.reason)
        }
    }
}
