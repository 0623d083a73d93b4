import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Turns Ctrl-C and a request to terminate into the cancellation of the command's task, so that it
/// ends what it has begun and closes the database. A second one ends the process at once.
enum Interruption {
    private static let signals = [SIGINT, SIGTERM]
    private static let first = Atomic<Int32>(0)

    /// The signal that asked for the end, or nil.
    static var received: Int32? {
        let number = first.load(ordering: .acquiring)
        return number == 0 ? nil : number
    }

    /// To be called first, before any thread is made: threads inherit which signals they leave to
    /// the one that waits for them. A closed pipe is met as an error of `write`, not as a signal.
    static func prepare() {
        var set = signalSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Calls `cancel` at the first signal.
    static func watch(_ cancel: @escaping @Sendable () -> Void) {
        BlockingThread.start {
            var set = signalSet()
            while true {
                var number: Int32 = 0
                guard sigwait(&set, &number) == 0 else { continue }
                let (isFirst, _) = first.compareExchange(
                    expected: 0, desired: number, ordering: .acquiringAndReleasing)
                guard isFirst else { _exit(ExitStatus.signal(number)) }
                cancel()
            }
        }
    }

    private static func signalSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        return set
    }
}
