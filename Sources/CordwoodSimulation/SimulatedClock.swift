public import CordwoodStorage
internal import Synchronization

/// A time of day that stands still until a test moves it, in either direction.
public final class SimulatedClock: WallClock {
    private let now: Mutex<Int64>

    /// 2023-11-14 22:13:20 UTC, where a clock begins unless told.
    public static let defaultMilliseconds: Int64 = 1_700_000_000_000

    public init(milliseconds: Int64 = SimulatedClock.defaultMilliseconds) {
        now = Mutex(milliseconds)
    }

    public func millisecondsNow() -> Int64 { now.withLock { $0 } }

    /// Jumps to a time, which may be in the past.
    public func set(milliseconds: Int64) { now.withLock { $0 = milliseconds } }

    /// Moves by some milliseconds, backwards when negative; stops at the ends of `Int64`.
    public func advance(milliseconds: Int64) {
        now.withLock { time in
            let (sum, overflow) = time.addingReportingOverflow(milliseconds)
            time = overflow ? (milliseconds < 0 ? .min : .max) : sum
        }
    }
}
