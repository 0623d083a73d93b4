import CordwoodStorage

/// Finds out where a segment that was being written really ends.
///
/// The rules, for a problem met at byte *p*:
/// - **below the watermark**: these bytes were durable, so this is damage. It is quarantined and
///   the scan goes on behind it; nothing is cut.
/// - **only zeros from *p* on**: reserved space that was never written; the end.
/// - **inside the last group that the watermark names, with a sound batch behind that group**: the
///   log wrote behind the group only after its sync had succeeded, so *p* was durable: damage.
/// - **else** the group was torn by the crash; no durable append reaches beyond *p*, and the tail
///   is cut there.
///
/// Pure: it reads bytes and decides; ``PartitionRecovery`` acts. O(bytes behind the watermark), and
/// at most one index page before it; where something is wrong below the watermark, O(bytes).
struct TailScan {
    private(set) var cursor: SegmentCursor
    private(set) var index: OffsetIndex
    private(set) var gaps: [Gap] = []
    /// Bytes behind ``cursor`` that were written and are to be cut.
    private(set) var cutBytes = 0
    /// What was found where the cut is.
    private(set) var cutProblem: BatchProblem?
    let scannedFrom: Int
    /// How many entries of the index file can stay: they lie below the watermark.
    let keptEntries: Int

    /// Of all batches: those before the watermark by what it says, the others by their headers.
    private(set) var times: SegmentTimes

    private let header: SegmentHeader
    private let rules: BatchRules
    private let watermark: Watermark?
    private let durable: SegmentCursor
    /// Whether the chain still is the one that the watermark was computed with.
    private var chainIsWhole = true
    /// A place that another scan began at, and whether this one came to exactly there.
    private let checkpoint: SegmentCursor?
    private var passedCheckpoint = false
    /// Whether the place that the scan began at is the watermark's, and not as the watermark says.
    private var beganAtOdds = false

    /// Scans `bytes`, a whole segment file. `index` holds the entries that could be read; those
    /// behind the watermark are dropped and found again.
    ///
    /// An index entry may be of an earlier life of the segment, cut since, so damage that is found
    /// from an entry on is believed only when a scan from the segment's start comes to that entry.
    init(
        _ bytes: UnsafeRawBufferPointer, header: SegmentHeader, watermark: Watermark?,
        index: OffsetIndex, rules: BatchRules = .appended, interval: Int
    ) {
        self.init(
            bytes, header: header, watermark: watermark, trusting: index, rules: rules,
            interval: interval,
            checkpoint: nil)
        guard !gaps.isEmpty || beganAtOdds, keptEntries > 0 else { return }
        let whole = TailScan(
            bytes, header: header, watermark: watermark,
            trusting: OffsetIndex(baseOffset: header.baseOffset), rules: rules, interval: interval,
            checkpoint: index.entries[..<keptEntries].last.map(index.cursor))
        if whole.gaps.isEmpty || !whole.passedCheckpoint || beganAtOdds { self = whole }
    }

    private init(
        _ bytes: UnsafeRawBufferPointer, header: SegmentHeader, watermark: Watermark?,
        trusting index: OffsetIndex, rules: BatchRules, interval: Int, checkpoint: SegmentCursor?
    ) {
        self.header = header
        self.rules = rules
        times = watermark?.times ?? SegmentTimes()
        self.watermark = watermark
        self.checkpoint = checkpoint
        let start = SegmentCursor.start(logID: header.logID, baseOffset: header.baseOffset)
        durable = watermark?.durable ?? start
        self.index = index
        self.index.removeAll(behind: min(durable.position, bytes.count))
        keptEntries = self.index.entries.count
        cursor = self.index.entries.last.map(index.cursor) ?? start
        if self.index.entries.isEmpty { self.index.append(start) }
        scannedFrom = cursor.position
        run(bytes, interval: interval)
    }

    private mutating func run(_ bytes: UnsafeRawBufferPointer, interval: Int) {
        var isBelowDurable = true
        let intervalStart = cursor
        while true {
            if cursor == checkpoint { passedCheckpoint = true }
            if isBelowDurable && cursor.position >= durable.position {
                isBelowDurable = false
                if !Landmark(durable).matches(cursor, withChain: chainIsWhole) {
                    // Between an entry and a watermark of one place there are no bytes to doubt.
                    if intervalStart.position < durable.position {
                        quarantine(from: intervalStart, to: durable)
                    } else {
                        beganAtOdds = true
                    }
                }
            }
            let rest = UnsafeRawBufferPointer(rebasing: bytes[min(cursor.position, bytes.count)...])
            let place = cursor
            do throws(BatchProblem) {
                let header = try cursor.next(in: rest, rules: rules)
                times.absorb(
                    maxTimestamp: header.maxTimestamp, lastOffset: header.nextOffset - 1)
                index.note(place, interval: interval)
            } catch {
                if isBelowDurable {
                    quarantineBelowDurable(rest)
                } else if !passDamage(bytes) {
                    cutBytes = Self.writtenByteCount(rest)
                    if cutBytes > 0 { cutProblem = error }
                    return
                }
            }
        }
    }

    /// Quarantines up to the next sound batch below the watermark, or up to the watermark.
    private mutating func quarantineBelowDurable(_ rest: UnsafeRawBufferPointer) {
        let landmark = Landmark(position: durable.position, nextOffset: durable.nextOffset)
        let next = cursor.survivor(in: rest, before: landmark, rules: rules)?.place ?? durable
        quarantine(to: next.position, offset: next.nextOffset)
    }

    /// Quarantines damage above the watermark where it can be told from a torn group.
    private mutating func passDamage(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // With both slots lost nothing tells what was durable, so whatever is sound is kept.
        let groupEnd = watermark.map { $0.groupWasSynced ? $0.groupEnd : 0 } ?? Int.max
        guard cursor.position < groupEnd, cursor.position < bytes.count else { return false }
        let behind = watermark == nil ? cursor.position + 1 : min(groupEnd, bytes.count)
        var budget = SearchBudget(for: bytes.count - behind)
        let found = SegmentCursor.firstBatch(
            in: UnsafeRawBufferPointer(rebasing: bytes[behind...]),
            minimumOffset: cursor.nextOffset, rules: rules, within: &budget)
        guard let found else { return false }
        let proof = (position: behind + found.position, header: found.header)
        // Only a batch right behind the group tells with which offset the group ends.
        let groupEndPlace = Landmark(position: behind, nextOffset: proof.header.baseOffset)
        let rest = UnsafeRawBufferPointer(rebasing: bytes[cursor.position...])
        let next =
            proof.position == behind
            ? cursor.survivor(in: rest, before: groupEndPlace, rules: rules)?.place : nil
        quarantine(
            to: next?.position ?? proof.position,
            offset: next?.nextOffset ?? proof.header.baseOffset)
        return true
    }

    private mutating func quarantine(from start: SegmentCursor, to end: SegmentCursor) {
        cursor = start
        gaps.removeAll { $0.positions.lowerBound >= start.position }
        index.removeAll(behind: start.position)
        quarantine(to: end.position, offset: end.nextOffset)
    }

    private mutating func quarantine(to position: Int, offset: Int64) {
        // Sound batches of a foreign file may claim more offsets than the watermark does.
        let gap = Gap(
            positions: cursor.position..<max(position, cursor.position),
            offsets: cursor.nextOffset..<max(offset, cursor.nextOffset))
        gaps.append(gap)
        cursor = .after(gap, header: header)
        index.append(cursor)
        chainIsWhole = false
    }

    /// The length of `bytes` without the zeros at its end. By words: there may be many of them.
    private static func writtenByteCount(_ bytes: UnsafeRawBufferPointer) -> Int {
        let word = MemoryLayout<UInt64>.size
        var count = bytes.count
        while count >= word, bytes.loadUnaligned(fromByteOffset: count - word, as: UInt64.self) == 0
        { count -= word }
        while count > 0, bytes[count - 1] == 0 { count -= 1 }
        return count
    }
}
