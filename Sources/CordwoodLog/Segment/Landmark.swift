/// A place of a segment that is known without the bytes before it: an index entry, the start of
/// known damage, a watermark, the seal.
struct Landmark {
    var position: Int
    var nextOffset: Int64?
    /// The chained checksum up to here; nil where it is not known.
    var chain: BatchChain?

    init(position: Int, nextOffset: Int64? = nil, chain: BatchChain? = nil) {
        self.position = position
        self.nextOffset = nextOffset
        self.chain = chain
    }

    init(_ cursor: SegmentCursor) {
        self.init(position: cursor.position, nextOffset: cursor.nextOffset, chain: cursor.chain)
    }

    /// The start of the next known damage behind `position`, or the end.
    static func next(behind position: Int, gaps: [Gap], end: SegmentCursor) -> Landmark {
        let gap = gaps.filter { $0.positions.lowerBound > position }
            .min { $0.positions.lowerBound < $1.positions.lowerBound }
        guard let gap, gap.positions.lowerBound < end.position else { return Landmark(end) }
        return Landmark(
            position: gap.positions.lowerBound, nextOffset: gap.offsets.lowerBound)
    }

    /// Whether `cursor` stands exactly here.
    func matches(_ cursor: SegmentCursor, withChain: Bool) -> Bool {
        cursor.position == position && (nextOffset ?? cursor.nextOffset) == cursor.nextOffset
            && (!withChain || (chain ?? cursor.chain) == cursor.chain)
    }
}

extension SegmentCursor {
    /// Where batches begin again behind damage at this place. `bytes` are the file from here on.
    ///
    /// Bytes inside a damaged batch may look like a batch: a value can hold one. So a place is
    /// taken only when batches lead from it exactly to the next landmark. Where the damaged batch's
    /// own header still tells its length, and the chained checksum at the landmark agrees, the
    /// chain goes on through the damage. O(bytes before the landmark); where these were made to
    /// deceive, the search ends with its budget and finds nothing.
    func survivor(
        in bytes: UnsafeRawBufferPointer, before landmark: Landmark, rules: BatchRules
    ) -> (place: SegmentCursor, knowsChain: Bool)? {
        let count = min(bytes.count, landmark.position - position)
        guard count > 0 else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        var budget = SearchBudget(for: bytes.count)
        var behind = self
        if behind.skip(bytes, rules),
            behind.leads(
                to: landmark, through: bytes, from: position, rules, withChain: true,
                within: &budget)
        {
            return (behind, landmark.chain != nil)
        }
        var start = 1
        while start < bytes.count,
            let found = SegmentCursor.firstBatch(
                in: UnsafeRawBufferPointer(rebasing: bytes[start...]), minimumOffset: nextOffset,
                rules: rules, within: &budget)
        {
            let place = SegmentCursor(
                position: position + start + found.position, nextOffset: found.header.baseOffset,
                chain: chain)
            if place.leads(
                to: landmark, through: bytes, from: position, rules, withChain: false,
                within: &budget)
            {
                return (place, false)
            }
            start += found.position + 1
        }
        return nil
    }

    /// Moves over a batch whose header is plausible, whatever its checksum says.
    private mutating func skip(_ bytes: UnsafeRawBufferPointer, _ rules: BatchRules) -> Bool {
        guard let header = BatchHeader(bytes),
            header.problem(
                available: bytes.count, expectedOffset: nextOffset, rules: rules) == nil
        else { return false }
        chain.absorb(bytes)
        position += header.totalByteCount
        nextOffset = header.nextOffset
        return true
    }

    /// Whether batches, sound or skipped, lead from here exactly to the landmark. `bytes` begin at
    /// `origin` in the file and end at the landmark, or where the file ends.
    private func leads(
        to landmark: Landmark, through bytes: UnsafeRawBufferPointer, from origin: Int,
        _ rules: BatchRules, withChain: Bool, within budget: inout SearchBudget
    ) -> Bool {
        var walk = self
        while walk.position < landmark.position, walk.position - origin < bytes.count {
            guard budget.spend(SearchBudget.headerBytes),
                walk.skip(
                    UnsafeRawBufferPointer(rebasing: bytes[(walk.position - origin)...]), rules)
            else { return false }
        }
        return landmark.matches(walk, withChain: withChain)
    }
}
