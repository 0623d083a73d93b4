import CordwoodStorage

extension LogInspector {
    /// Looks at a segment's offset index, and returns the entries that are known to belong to this
    /// life of the segment. The walk over the batches holds them against what is there.
    mutating func inspectIndex(
        _ header: SegmentHeader, _ end: SegmentCursor?, _ watermark: Watermark?
    ) async throws -> OffsetIndex {
        let file = IndexFile<S, OffsetIndex>(header: header, directory: directory, storage: storage)
        let prefix = try await file.loadPrefix()
        if options.showsIndexes { try show(prefix.index, file.path) }
        var index = prefix.index
        if let end {
            let problem = prefix.problem ?? (prefix.hasLastPage ? nil : prefix.cutProblem)
            if let problem {
                try damage(file.path, at: nil, "\(problem); reading the segment makes it anew")
            } else if let last = index.entries.last, index.entries.count > 1,
                Int(last.position) >= end.position
            {
                try damage(
                    file.path, at: nil,
                    "the last entry is for byte \(last.position), the segment ends at "
                        + "\(end.position)")
            }
            index.removeAll(behind: end.position)
        } else {
            // Pages of a segment that is being written are not synced: a lost one is in order.
            if let problem = prefix.problem, prefix.fileExists {
                try note(file.path, "\(problem); opening makes the rest anew")
            }
            index.removeAll(behind: watermark?.durable.position ?? SegmentHeader.byteCount)
        }
        return index
    }

    private func show(_ index: OffsetIndex, _ path: StoragePath) throws {
        let pages = index.entries.count / OffsetIndex.Entry.pageCapacity + 1
        try emit(
            .init(
                .index, path, at: 0,
                ["pages": .count(pages), "entries": .count(index.entries.count)]))
        for (number, entry) in index.entries.enumerated() {
            let place = index.cursor(entry)
            try emit(
                .init(
                    .entry, path, at: OffsetIndex.Entry.position(ofEntry: number),
                    [
                        "offset": .integer(place.nextOffset), "position": .count(place.position),
                        "chain": .hexadecimal(place.chain.value),
                    ]))
        }
    }
}
