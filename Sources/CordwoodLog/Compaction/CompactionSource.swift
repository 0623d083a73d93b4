import CordwoodStorage

/// A segment that is being read from its front, in steps.
struct CompactionSource: Sendable {
    let block: MemoryBlock
    let info: SegmentInfo
    let rules: BatchRules
    var cursor: SegmentCursor

    var isAtEnd: Bool { cursor.position >= info.end.position }

    /// The next batch, verified; at the end the chain must be the one that was sealed.
    mutating func next() throws(BatchProblem) -> (MemorySlice, BatchHeader) {
        let position = cursor.position
        let rest = UnsafeRawBufferPointer(
            rebasing: block.unsafeBytes[position..<info.end.position])
        let header = try cursor.next(in: rest, rules: rules)
        if isAtEnd, cursor != info.end {
            throw .badChain(expected: info.end.chain.value, found: cursor.chain.value)
        }
        return (MemorySlice(block, position..<position + header.totalByteCount), header)
    }

    /// Continues the chain over the batches before `limit`, without a look at their records.
    mutating func follow(upTo limit: Int) -> Bool {
        while !isAtEnd, cursor.position < limit {
            let rest = UnsafeRawBufferPointer(
                rebasing: block.unsafeBytes[cursor.position..<info.end.position])
            guard let header = BatchHeader(rest),
                header.problem(
                    available: rest.count, expectedOffset: cursor.nextOffset, rules: rules)
                    == nil
            else { return false }
            cursor.chain.absorb(rest)
            cursor.position += header.totalByteCount
            cursor.nextOffset = header.nextOffset
        }
        return !isAtEnd || cursor == info.end
    }
}

/// What is done in one go on a thread of the storage.
struct CompactionStep: Sendable {
    var source: CompactionSource
    var pass: CompactionPass
    let builder: SegmentBuilder
    var problem: BatchProblem?
    /// Whether the segment has no room for the next batch.
    var isFull = false

    mutating func run(upTo limit: Int, room: Int, groupEnd: Int64) {
        do throws(BatchProblem) {
            while !source.isAtEnd, source.cursor.position < limit {
                let place = source.cursor
                let (batch, header) = try source.next()
                guard builder.isEmpty || builder.end.position + batch.count <= room else {
                    source.cursor = place
                    isFull = true
                    return
                }
                let outcome = pass.apply(
                    batch.unsafeBytes, header, isLast: header.nextOffset == groupEnd)
                switch outcome {
                case .dropped: break
                case .unchanged, .opaque: builder.add(batch, header)
                case .rewritten(let block):
                    // Its header is the old one but for counts, times and flags.
                    if let header = BatchHeader(block.unsafeBytes) {
                        builder.add(MemorySlice(block), header)
                    }
                }
            }
        } catch { problem = error }
    }
}
