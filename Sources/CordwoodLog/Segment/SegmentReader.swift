import CordwoodStorage

/// Serves batches from bytes of one segment, mapped or read, and steps around damage.
struct SegmentReader {
    /// Bytes of the file from `origin` on.
    let block: MemoryBlock
    let origin: Int
    let index: OffsetIndex
    /// Where the bytes that may be served end: the segment's seal, an index entry, or the place up
    /// to which the active segment has been published.
    let end: SegmentCursor
    let gaps: [Gap]
    let rules: BatchRules
    let path: StoragePath

    /// Verified batches from the one that holds `offset` on: about `maximumBytes`, at least one
    /// unless `offset` is the end.
    ///
    /// Reads whole intervals of the index, because the chained checksum is known at their ends.
    /// Throws ``LogError/Code/damaged`` when the first batch asked for is damaged; damage behind
    /// sound batches is left to the next read.
    func read(from offset: Int64, maximumBytes: Int) throws(LogError) -> [RecordBatch] {
        guard let start = index.floor(offset) else {
            throw LogError(
                .damaged, "\(path): the index has no entry for offset \(offset)",
                resumeOffset: end.nextOffset)
        }
        var walk = Walk(cursor: index.cursor(index.entries[start]), nextEntry: start + 1)
        while true {
            do throws(BatchProblem) {
                if try passEntry(&walk), walk.byteCount >= maximumBytes { return walk.batches }
                guard walk.cursor.position < end.position else {
                    try checkEnd(walk)
                    return walk.batches
                }
                if let gap = gaps.first(where: { $0.positions.lowerBound == walk.cursor.position })
                {
                    if !walk.batches.isEmpty { return walk.batches }
                    guard offset >= gap.offsets.upperBound else { throw .quarantined(gap) }
                    walk.jump(
                        to: SegmentCursor(
                            position: gap.positions.upperBound,
                            nextOffset: gap.offsets.upperBound, chain: walk.cursor.chain),
                        knowsChain: false, in: index)
                    continue
                }
                try step(&walk, wanted: offset)
            } catch {
                walk.batches.removeLast(walk.batches.count - soundBatches(walk, after: error))
                if !walk.batches.isEmpty { return walk.batches }
                try resume(&walk, after: error, wanted: offset)
            }
        }
    }

    /// Where a read is.
    private struct Walk {
        var cursor: SegmentCursor
        /// The index entry that comes next.
        var nextEntry: Int
        /// False from damage to the next index entry: the chain cannot be continued over a hole.
        var knowsChain = true
        var batches: [RecordBatch] = []
        var byteCount = 0
        /// How many of `batches` lie before the last entry at which the chain was right.
        var chainedBatches = 0

        init(cursor: SegmentCursor, nextEntry: Int) {
            self.cursor = cursor
            self.nextEntry = nextEntry
        }

        mutating func jump(to place: SegmentCursor, knowsChain: Bool, in index: OffsetIndex) {
            cursor = place
            self.knowsChain = knowsChain
            while nextEntry < index.entries.count,
                Int(index.entries[nextEntry].position) < cursor.position
            { nextEntry += 1 }
        }
    }

    /// How many batches can still be served after a problem: a wrong chain puts in doubt all since
    /// the last entry, anything else concerns only the batch where it was found. But in a compacted
    /// segment nothing except the chain vouches for a batch's offset, so there the chain must hold
    /// behind the problem, too.
    private func soundBatches(_ walk: Walk, after problem: BatchProblem) -> Int {
        if case .badChain = problem { return walk.chainedBatches }
        if rules.offsets == .increasing, walk.batches.count > walk.chainedBatches {
            let landmark = nextLandmark(walk)
            let found = walk.cursor.survivor(
                in: bytes(from: walk.cursor.position), before: landmark, rules: rules)
            guard walk.knowsChain, found?.knowsChain == true else { return walk.chainedBatches }
        }
        return walk.batches.count
    }

    /// The next place whose offset and chain are known.
    private func nextLandmark(_ walk: Walk) -> Landmark {
        let isAtEntry = walk.nextEntry < index.entries.count
        let entry = isAtEntry ? index.cursor(index.entries[walk.nextEntry]) : end
        let landmark = Landmark.next(behind: walk.cursor.position, gaps: gaps, end: end)
        return entry.position <= landmark.position ? Landmark(entry) : landmark
    }

    private func checkEnd(_ walk: Walk) throws(BatchProblem) {
        if walk.knowsChain && walk.cursor != end {
            throw .badChain(expected: end.chain.value, found: walk.cursor.chain.value)
        }
    }

    /// Compares the chain when the walk stands at an index entry; true where it does.
    private func passEntry(_ walk: inout Walk) throws(BatchProblem) -> Bool {
        guard walk.nextEntry < index.entries.count else { return false }
        let entry = index.cursor(index.entries[walk.nextEntry])
        guard walk.cursor.position >= entry.position else { return false }
        guard Landmark(entry).matches(walk.cursor, withChain: walk.knowsChain) else {
            throw .badChain(expected: entry.chain.value, found: walk.cursor.chain.value)
        }
        walk.cursor = entry
        walk.knowsChain = true
        walk.nextEntry += 1
        walk.chainedBatches = walk.batches.count
        return true
    }

    private func step(_ walk: inout Walk, wanted offset: Int64) throws(BatchProblem) {
        let start = walk.cursor.position - origin
        let header = try walk.cursor.next(
            in: bytes(from: walk.cursor.position), rules: rules)
        guard header.nextOffset > offset else { return }
        let slice = MemorySlice(block, start..<start + header.totalByteCount)
        walk.batches.append(RecordBatch(verified: header, slice))
        walk.byteCount += slice.count
    }

    /// Puts the walk behind damage when what is wanted lies behind it; throws otherwise.
    private func resume(
        _ walk: inout Walk, after problem: BatchProblem, wanted offset: Int64
    ) throws(LogError) {
        if case .quarantined(let gap) = problem {
            throw damaged(walk.cursor, problem, resume: gap.offsets.upperBound)
        }
        let isAtEntry = walk.nextEntry < index.entries.count
        let entry = isAtEntry ? index.cursor(index.entries[walk.nextEntry]) : end
        if case .badChain = problem {
            // Something since the last entry is not what was written; which batch, nobody knows.
            guard isAtEntry, entry.nextOffset <= offset else {
                throw damaged(walk.cursor, problem, resume: entry.nextOffset)
            }
            walk.jump(to: entry, knowsChain: true, in: index)
            return
        }
        let place = walk.cursor
        let landmark = nextLandmark(walk)
        let found = place.survivor(in: bytes(from: place.position), before: landmark, rules: rules)
        let next =
            found
            ?? (
                SegmentCursor(
                    position: landmark.position, nextOffset: landmark.nextOffset ?? end.nextOffset,
                    chain: landmark.chain ?? place.chain), landmark.chain != nil
            )
        guard next.place.nextOffset <= offset else {
            throw damaged(place, problem, resume: next.place.nextOffset)
        }
        walk.jump(
            to: next.place, knowsChain: next.knowsChain && (found == nil || walk.knowsChain),
            in: index)
    }

    private func bytes(from position: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            rebasing: block.unsafeBytes[(position - origin)..<(end.position - origin)])
    }

    private func damaged(
        _ place: SegmentCursor, _ problem: BatchProblem, resume: Int64
    ) -> LogError {
        LogError(
            .damaged, "\(path) at byte \(place.position), offset \(place.nextOffset): \(problem)",
            resumeOffset: resume)
    }
}
