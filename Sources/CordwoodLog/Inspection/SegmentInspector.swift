import CordwoodStorage

/// Walks a segment's batches for whoever looks at it from outside, and goes on behind damage.
///
/// Unlike ``SegmentReader`` it has no whole file at hand and trusts nothing: it is given windows of
/// bytes and says which it needs next, so that a segment of any size is looked at in bounded
/// memory, also while another process appends to it. Pure; O(bytes).
struct SegmentInspector {
    /// Where a segment's batches end.
    enum Extent {
        /// At its seal.
        case sealed(SegmentCursor)
        /// Where nothing more is written; below the watermark all was durable.
        case active(Watermark?)
    }

    enum Step {
        /// Call again with at least so many bytes from ``readPosition`` on.
        case needs(Int)
        /// A sound batch, and its place. Its bytes are the front of the window.
        case batch(BatchHeader, at: SegmentCursor)
        case damage(Damage)
        /// Nothing follows but `torn` bytes that were never acknowledged, and zeros.
        case end(torn: Int)
    }

    struct Damage: Equatable {
        var positions: Range<Int>
        var offsets: Range<Int64>
        var problem: String
        /// Whether the manifest knows of it.
        var isQuarantined = false
    }

    /// The most bytes of one window: a largest batch, and as much to find the next one in.
    static let maximumWindowBytes = 2 * BatchHeader.maximumByteCount

    let header: SegmentHeader
    let extent: Extent
    let gaps: [Gap]
    /// Entries that are known to belong to this life of the segment.
    let index: OffsetIndex
    let rules: BatchRules
    let fileByteCount: Int
    private(set) var cursor: SegmentCursor
    /// False from damage on, up to where the chain is known again.
    private(set) var knowsChain = true
    private var nextEntry = 0
    /// The last place at which the chain was right.
    private var anchor: SegmentCursor
    private var hasPassedDurable = false
    private var hasEnded = false

    init(
        header: SegmentHeader, extent: Extent, gaps: [Gap], index: OffsetIndex,
        rules: BatchRules = .appended, fileByteCount: Int
    ) {
        self.header = header
        self.extent = extent
        self.gaps = gaps
        self.index = index
        self.rules = rules
        self.fileByteCount = fileByteCount
        cursor = .start(logID: header.logID, baseOffset: header.baseOffset)
        anchor = cursor
    }

    /// Where the next window must begin.
    var readPosition: Int { cursor.position }

    /// Where there can be no batch any more.
    private var limit: Int {
        if case .sealed(let end) = extent { return min(end.position, fileByteCount) }
        return fileByteCount
    }

    /// Everything before it was durable.
    private var durable: SegmentCursor {
        switch extent {
        case .sealed(let end): end
        case .active(let watermark):
            watermark?.durable ?? .start(logID: header.logID, baseOffset: header.baseOffset)
        }
    }

    /// Looks at the front of `window`, the file's bytes from ``readPosition`` on.
    mutating func next(in window: UnsafeRawBufferPointer) -> Step {
        if let damage = passLandmarks() { return .damage(damage) }
        if hasEnded { return .end(torn: 0) }
        if let gap = gaps.first(where: { $0.positions.lowerBound == cursor.position }),
            gap.positions.upperBound > cursor.position
        {
            cursor = .after(gap, header: header)
            (anchor, knowsChain) = (cursor, true)
            return .damage(
                Damage(
                    positions: gap.positions, offsets: gap.offsets,
                    problem: "quarantined when the log was opened", isQuarantined: true))
        }
        if cursor.position >= limit { return finish() }
        let bytes = UnsafeRawBufferPointer(
            rebasing: window[..<min(window.count, limit - cursor.position)])
        let place = cursor
        do throws(BatchProblem) {
            return .batch(try cursor.next(in: bytes, rules: rules), at: place)
        } catch {
            if case .truncated(let needed, _) = error, bytes.count < limit - cursor.position {
                return .needs(min(needed, limit - cursor.position))
            }
            return cursor.position < durable.position
                ? passDamage(error, bytes) : passTail(error, bytes)
        }
    }

    /// Compares the walk with index entries and the watermark that it came to.
    private mutating func passLandmarks() -> Damage? {
        while nextEntry < index.entries.count {
            let entry = index.cursor(index.entries[nextEntry])
            guard entry.position <= cursor.position else { break }
            nextEntry += 1
            // Damage may have been passed over by more than one entry.
            guard entry.position == cursor.position else { continue }
            if let damage = compare(with: entry, "the index") { return damage }
        }
        if case .active = extent, !hasPassedDurable, cursor.position >= durable.position {
            hasPassedDurable = true
            if cursor.position == durable.position {
                return compare(with: durable, "the watermark")
            }
            if knowsChain {
                return damage(
                    to: cursor,
                    "expected a batch to end at the watermark, byte \(durable.position)")
            }
        }
        return nil
    }

    private mutating func compare(with place: SegmentCursor, _ what: String) -> Damage? {
        defer {
            (cursor, anchor, knowsChain) = (place, place, true)
        }
        if Landmark(place).matches(cursor, withChain: knowsChain) { return nil }
        return damage(
            to: place,
            "expected offset \(place.nextOffset) and the chained checksum "
                + "\(hexadecimal(place.chain.value)) that \(what) has, found "
                + "\(cursor.nextOffset) and \(hexadecimal(cursor.chain.value))")
    }

    /// Somewhere since the last place where the chain was right.
    private func damage(to place: SegmentCursor, _ problem: String) -> Damage {
        Damage(
            positions: anchor.position..<max(place.position, anchor.position),
            offsets: anchor.nextOffset..<max(place.nextOffset, anchor.nextOffset),
            problem: problem)
    }

    private mutating func finish() -> Step {
        hasEnded = true
        guard case .sealed(let end) = extent else {
            if cursor.position >= durable.position { return .end(torn: 0) }
            return cutShort(before: durable)
        }
        if cursor.position < end.position { return cutShort(before: end) }
        if !Landmark(end).matches(cursor, withChain: knowsChain),
            let damage = compare(with: end, "the seal")
        {
            return .damage(damage)
        }
        return .end(torn: 0)
    }

    private mutating func cutShort(before end: SegmentCursor) -> Step {
        let damage = Damage(
            positions: cursor.position..<end.position,
            offsets: cursor.nextOffset..<max(end.nextOffset, cursor.nextOffset),
            problem: "expected a file of \(end.position) bytes or more, found \(fileByteCount)")
        (cursor, hasPassedDurable) = (end, true)
        return .damage(damage)
    }

    // MARK: Damage

    /// Goes on behind damage, at the next batch that leads to a place which is known.
    private mutating func passDamage(
        _ problem: BatchProblem, _ bytes: UnsafeRawBufferPointer
    ) -> Step {
        var landmark = Landmark.next(behind: cursor.position, gaps: gaps, end: durable)
        if nextEntry < index.entries.count {
            let entry = index.cursor(index.entries[nextEntry])
            if entry.position <= landmark.position { landmark = Landmark(entry) }
        }
        let wanted = min(
            landmark.position - cursor.position, limit - cursor.position, Self.maximumWindowBytes)
        if bytes.count < wanted { return .needs(wanted) }
        let found: (place: SegmentCursor, knowsChain: Bool)?
        if landmark.position - cursor.position <= Self.maximumWindowBytes {
            found = cursor.survivor(in: bytes, before: landmark, rules: rules)
        } else {
            // No known place is near, so the first sound batch has to do.
            found = soundBatch(in: bytes, from: 1).map { ($0, false) }
        }
        let place =
            found?.place
            ?? SegmentCursor(
                position: landmark.position, nextOffset: landmark.nextOffset ?? durable.nextOffset,
                chain: landmark.chain ?? cursor.chain)
        let chainGoesOn = found.map { $0.knowsChain && knowsChain } ?? (landmark.chain != nil)
        return jump(to: place, knowsChain: chainGoesOn, over: problem)
    }

    /// Tells a torn tail from damage, above what is known to be durable: the rules of ``TailScan``.
    private mutating func passTail(
        _ problem: BatchProblem, _ bytes: UnsafeRawBufferPointer
    ) -> Step {
        let wanted = min(limit - cursor.position, Self.maximumWindowBytes)
        if bytes.count < wanted { return .needs(wanted) }
        let written = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        var groupEnd = Int.max
        if case .active(let watermark?) = extent {
            groupEnd = watermark.groupWasSynced ? watermark.groupEnd : 0
        }
        if cursor.position < groupEnd {
            let behind = groupEnd == .max ? 1 : min(groupEnd - cursor.position, bytes.count)
            if let place = soundBatch(in: bytes, from: behind) {
                return jump(to: place, knowsChain: false, over: problem)
            }
        }
        hasEnded = true
        return .end(torn: written)
    }

    private func soundBatch(
        in bytes: UnsafeRawBufferPointer, from start: Int
    ) -> SegmentCursor? {
        guard start < bytes.count else { return nil }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
        var budget = SearchBudget(for: rest.count)
        return SegmentCursor.firstBatch(
            in: rest, minimumOffset: cursor.nextOffset, rules: rules, within: &budget
        ).map {
            SegmentCursor(
                position: cursor.position + start + $0.position, nextOffset: $0.header.baseOffset,
                chain: cursor.chain)
        }
    }

    private mutating func jump(
        to place: SegmentCursor, knowsChain: Bool, over problem: BatchProblem
    ) -> Step {
        let damage = Damage(
            positions: cursor.position..<place.position,
            offsets: cursor.nextOffset..<max(place.nextOffset, cursor.nextOffset),
            problem: "\(problem)")
        cursor = place
        self.knowsChain = knowsChain
        if knowsChain { anchor = place }
        return .damage(damage)
    }
}
