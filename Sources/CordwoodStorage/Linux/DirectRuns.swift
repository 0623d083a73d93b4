/// Decides which operations a ring's thread runs itself, by plain system calls, rather than through
/// the ring.
///
/// The kernel hands a buffered write and a sync to a worker thread of its own, and back: two thread
/// switches, which cost more than half of a sync on a fast disk (16 KiB, write + fdatasync: 80 µs
/// directly, 130 to 155 µs through the ring). An operation that nothing else runs beside gains
/// nothing from the ring, so it goes directly, as long as such calls return quickly. Behind a slow
/// one the next go through the ring again, so that a slow disk, where the switches are nothing to
/// the sync, serves several files at once and holds nobody up but those who wait for it.
struct DirectRuns {
    /// The most bytes that are written directly.
    static let maximumBytes = 4 << 20
    /// A direct run that takes longer was slow.
    static let slowNanoseconds: UInt64 = 500_000
    /// How many operations go through the ring behind a slow one.
    static let operationsBehindSlow = 16

    private var leftBehindSlow = 0

    /// Whether an operation of `byteCount` bytes (nil where its kind never does) is to be run
    /// directly, where `isAlone` says that no other is in flight or waits.
    mutating func takes(byteCount: Int?, isAlone: Bool) -> Bool {
        guard let byteCount, byteCount <= Self.maximumBytes else { return false }
        if leftBehindSlow > 0 {
            leftBehindSlow -= 1
            return false
        }
        return isAlone
    }

    /// Notes how long a direct run took.
    mutating func note(nanoseconds: UInt64) {
        if nanoseconds > Self.slowNanoseconds { leftBehindSlow = Self.operationsBehindSlow }
    }
}
