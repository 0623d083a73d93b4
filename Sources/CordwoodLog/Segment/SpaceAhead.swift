import CordwoodStorage

/// Decides which space a segment prepares ahead of its end, off the path of appends.
///
/// The first write to space that is only reserved changes the file's metadata, so the sync behind it
/// commits the file system's journal: about twice the time of a sync of space that holds zeros
/// (64 KiB: 200 against 100 µs). So zeros are written ahead of a segment that is being synced, a
/// step at a time, up to a window that grows with what was synced: an idle log holds nothing.
///
/// Invariants: at most one step is under way. No byte is claimed by an append while a step may still
/// change it, and no step begins on bytes that an append has claimed; ``isInTheWay(of:)`` says when
/// an append has to wait. What fails is not tried again: appends then find out by themselves.
///
/// Pure: ``ActiveSegment`` acts.
struct SpaceAhead {
    /// Bounds of this, and of what ``ActiveSegment`` does behind the end.
    struct Limits: Hashable, Sendable {
        /// Nothing is prepared before this much was appended.
        var firstBytes = 1 << 20
        /// How far zeros are ahead at most. After a crash recovery reads them.
        var windowBytes = 16 << 20
        /// Zeros in one step: each step costs one sync a commit of the journal, so steps should be
        /// many groups long; and a sync that meets one waits for the disk to take it.
        var stepBytes = 1 << 20
        /// How much space is reserved at a time: a journal commit each.
        var reservationBytes = 16 << 20
        /// Unsynced bytes after which the system is asked to begin to write them, so that it does so
        /// while appends go on and not all at once in the next sync.
        var writebackBytes = 8 << 20
        /// Unsynced bytes after which they are synced although nobody waits: what lies behind the
        /// watermark has to be read, and written once more, after a crash.
        var unsyncedBytes = 64 << 20
        /// How much is left of a segment when the next one's file is made: at 500 MB/s a tenth of a
        /// second, of which that takes a third.
        var spareBytes = 64 << 20
    }

    enum Step: Equatable {
        /// Extend the file, which then reads as zeros there, to this size.
        case reserve(to: Int)
        /// Write zeros to pages that are reserved.
        case zeros(Range<Int>)
    }

    let limits: Limits
    /// The file reaches this far for certain.
    private(set) var reserved: Int
    /// Zeros were written up to here, from somewhere before the end; or the end is beyond it.
    private(set) var zeroed: Int
    /// Appends have been given the bytes before it.
    private(set) var claimed: Int
    private(set) var step: Step?
    private var isStopped = false
    private var appendReserves = false

    /// `end` is where the content ends; the file reaches to `reserved`, and zeros were written up to
    /// `zeroed`.
    init(end: Int, reserved: Int? = nil, zeroed: Int = 0, limits: Limits) {
        self.reserved = max(end, reserved ?? end)
        self.zeroed = zeroed
        claimed = end
        self.limits = limits
    }

    /// How much of a new segment's file is reserved, and how much of that filled with zeros, ahead
    /// of its first append.
    static func spare(
        synced: Int, segmentBytes: Int, limits: Limits
    ) -> (byteCount: Int, zeroCount: Int) {
        let byteCount = min(limits.reservationBytes, segmentBytes)
        let isSynced = synced >= limits.firstBytes
        return (byteCount, isSynced ? min(limits.windowBytes, synced, byteCount) : 0)
    }

    /// Gives an append the bytes before `end`; it must wait while ``isInTheWay(of:)``.
    mutating func claim(upTo end: Int) { claimed = max(claimed, end) }

    /// Whether the step under way could still change bytes before `end`.
    func isInTheWay(of end: Int) -> Bool {
        switch step {
        // Where space cannot be had, the file is cut to the size that it had.
        case .reserve: end > reserved
        case .zeros(let range): end > range.lowerBound
        case nil: false
        }
    }

    /// The size that an append reserves by itself, before it writes behind ``reserved``.
    mutating func beginReserving(upTo end: Int, limit: Int) -> Int {
        precondition(step == nil, "two would change the file's size")
        appendReserves = true
        return max(end, min(max(end, reserved + limits.reservationBytes), limit))
    }

    /// The append's own reservation ended; nil where it failed.
    mutating func endReserving(_ size: Int?) {
        appendReserves = false
        reserved = max(reserved, size ?? 0)
    }

    /// Begins the next step where there is one. `appended` and `synced` are the bytes that were
    /// appended and, of them, synced lately; `limit` is the segment's size.
    mutating func begin(appended: Int, synced: Int, limit: Int) -> Step? {
        guard step == nil, !isStopped, !appendReserves, appended >= limits.firstBytes else {
            return nil
        }
        step = nextZeros(synced: synced, limit: limit) ?? nextReservation(limit: limit)
        return step
    }

    private mutating func nextZeros(synced: Int, limit: Int) -> Step? {
        guard synced >= limits.firstBytes else { return nil }
        // Behind appends that were faster, a step's distance keeps the next ones from waiting.
        if zeroed < claimed { zeroed = Self.pages(claimed + limits.stepBytes) }
        let window = min(limits.windowBytes, synced)
        let stop = min(zeroed + limits.stepBytes, limit, reserved)
        let end = stop - stop % Self.pageBytes
        guard zeroed < claimed + window, end > zeroed else { return nil }
        return .zeros(zeroed..<end)
    }

    private func nextReservation(limit: Int) -> Step? {
        let wanted = max(claimed, zeroed) + limits.reservationBytes / 2
        guard reserved < min(wanted, limit) else { return nil }
        return .reserve(to: min(limit, max(reserved, claimed) + limits.reservationBytes))
    }

    /// The step under way has ended. One that failed is the last.
    mutating func end(succeeded: Bool) {
        switch step {
        case .reserve(let size) where succeeded: reserved = size
        case .zeros(let range) where succeeded: zeroed = range.upperBound
        default: isStopped = true
        }
        step = nil
    }

    /// No further step begins.
    mutating func stop() { isStopped = true }

    private static var pageBytes: Int { 4096 }

    private static func pages(_ position: Int) -> Int {
        (position + pageBytes - 1) / pageBytes * pageBytes
    }
}
