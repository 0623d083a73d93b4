import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Turns Ctrl-C and a request to terminate into the cancellation of the command's task, so that it
/// ends what it has begun and closes the database. A second one ends the process at once.
///
/// A handler that hands the signal to a thread through a pipe, and not `sigwait`: the main thread of
/// an asynchronous program sleeps with every signal let through, and would die of it.
enum Interruption {
    private static let first = Atomic<Int32>(0)
    /// Where the handler writes to.
    private static let writeEnd = Atomic<Int32>(-1)

    /// The signal that asked for the end, or nil.
    static var received: Int32? {
        let number = first.load(ordering: .acquiring)
        return number == 0 ? nil : number
    }

    /// Calls `cancel` at the first signal. A closed pipe, in turn, is from now on met as an error of
    /// `write`, not as a signal.
    static func watch(_ cancel: @escaping @Sendable () -> Void) {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "the system refused a pipe: errno \(errno)")
        // Also what makes the constant itself before a handler can ask for it.
        writeEnd.store(ends[1], ordering: .releasing)
        let readEnd = ends[0]
        BlockingThread.start {
            while let number = next(from: readEnd) {
                let (isFirst, _) = first.compareExchange(
                    expected: 0, desired: number, ordering: .acquiringAndReleasing)
                guard isFirst else { _exit(ExitStatus.signal(number)) }
                cancel()
            }
        }
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                // Only what is safe in a handler: no allocation, no lock.
                let before = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(Interruption.writeEnd.load(ordering: .acquiring), &byte, 1)
                errno = before
            }
        }
    }

    private static func next(from readEnd: Int32) -> Int32? {
        var byte: UInt8 = 0
        while true {
            switch read(readEnd, &byte, 1) {
            case 1: return Int32(byte)
            case -1 where errno == EINTR: continue
            default: return nil
            }
        }
    }
}
