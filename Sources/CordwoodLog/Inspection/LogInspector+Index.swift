import CordwoodStorage

extension LogInspector {
    /// Looks at an index of a segment and returns its sound entries, from the front of the file.
    /// The walk over the batches holds them against what is there.
    mutating func inspectIndex<Index: InspectedIndex>(
        _ kind: Index.Type, of segment: SegmentFacts
    ) async throws -> Index {
        let file = IndexFile<S, Index>(
            header: segment.header, directory: directory, storage: storage)
        let prefix = try await file.loadPrefix()
        if options.showsIndexes { try show(prefix.index, file.path) }
        guard let end = segment.end else {
            // Pages of a segment that is being written are not synced: a lost one is in order, and
            // before the first is full there is no file.
            if let problem = prefix.problem, prefix.fileExists || options.showsIndexes {
                try note(file.path, "\(problem); opening makes the rest anew")
            }
            return prefix.index
        }
        let problem = prefix.problem ?? (prefix.hasLastPage ? nil : prefix.cutProblem)
        if let problem {
            let text = "\(problem); reading the segment makes it anew"
            if !segment.isAsSealed, !prefix.fileExists || prefix.problem == nil {
                try note(file.path, text)
            } else if prefix.fileExists {
                try damage(file.path, at: nil, text)
            } else {
                try await missing(file.path, of: segment.id, text)
            }
        } else if prefix.index.entries.count > 1, !prefix.index.lies(before: end) {
            let text =
                "expected the last entry before the segment's end, byte \(end.position), offset "
                + "\(end.nextOffset)"
            // The entries of what a truncation took.
            if segment.isAsSealed {
                try damage(file.path, at: nil, text)
            } else {
                try note(file.path, "\(text); reading the segment makes it anew")
            }
        }
        return prefix.index
    }

    private func show<Index: InspectedIndex>(_ index: Index, _ path: StoragePath) throws {
        let pages = index.entries.count / Index.Entry.pageCapacity + 1
        try emit(
            .init(
                Index.itemKind, path, at: 0,
                ["pages": .count(pages), "entries": .count(index.entries.count)]))
        for (number, entry) in index.entries.enumerated() {
            var item = InspectionItem(
                Index.entryKind, path, at: Index.Entry.position(ofEntry: number))
            item.fields = index.fields(of: entry)
            try emit(item)
        }
    }

    // MARK: Aborted transactions

    /// Looks at a sealed segment's transaction index; nil where there is none that holds.
    ///
    /// A segment has one where a producer may have written to it or before it. Compaction writes
    /// none: the first reader who needs it does.
    mutating func inspectTransactionIndex(
        of segment: SegmentFacts
    ) async throws -> TransactionIndex? {
        guard let seal = segment.seal, let since = producersSince, seal.end.nextOffset > since
        else { return nil }
        let path = SegmentFiles.transactionIndex(segment.id, in: directory)
        let end = seal.end.nextOffset
        switch try await content(of: path, maximumBytes: TransactionIndex.maximumFileBytes) {
        case .missing:
            let text = "missing; readers of committed records make it anew"
            if segment.isAsSealed && !seal.isCompacted {
                try await missing(path, of: segment.id, text)
            } else if options.showsIndexes {
                try note(path, text)
            }
            return nil
        case .unreadable(let problem):
            try damage(path, at: nil, problem)
            return nil
        case .bytes(let block):
            let (index, stated) = withExtendedLifetime(block) {
                let stated = TransactionIndex.statedEnd(block.unsafeBytes)
                return (
                    stated.flatMap {
                        TransactionIndex(block.unsafeBytes, header: segment.header, end: $0)
                    }, stated
                )
            }
            guard let index else {
                try damage(
                    path, at: nil,
                    "a page is not sound; readers of committed records make the index anew")
                return nil
            }
            if options.showsIndexes { try show(index, path) }
            if stated == end { return index }
            let text = "expected an index up to offset \(end), found one up to \(index.end)"
            if segment.isAsSealed {
                try damage(path, at: nil, text)
            } else {
                try note(path, "\(text), from before a truncation")
            }
            return nil
        }
    }

    private func show(_ index: TransactionIndex, _ path: StoragePath) throws {
        try emit(
            .init(
                .transactionIndex, path, at: 0,
                [
                    "entries": .count(index.entries.count), "end": .integer(index.end),
                    "lastStableOffset": .integer(index.stableOffset),
                ]))
        for (number, entry) in index.entries.enumerated() {
            try emit(.init(entry, path, at: TransactionIndex.position(ofEntry: number)))
        }
    }
}

/// An index in pages, as an inspection shows it.
protocol InspectedIndex: SegmentIndex {
    static var itemKind: InspectionItem.Kind { get }
    static var entryKind: InspectionItem.Kind { get }
    func fields(of entry: Entry) -> [(name: String, value: InspectionItem.Value)]
}

extension OffsetIndex: InspectedIndex {
    static var itemKind: InspectionItem.Kind { .index }
    static var entryKind: InspectionItem.Kind { .entry }

    func fields(of entry: Entry) -> [(name: String, value: InspectionItem.Value)] {
        let place = cursor(entry)
        return [
            ("offset", .integer(place.nextOffset)), ("position", .count(place.position)),
            ("chain", .hexadecimal(place.chain.value)),
        ]
    }
}

extension TimeIndex: InspectedIndex {
    static var itemKind: InspectionItem.Kind { .timeIndex }
    static var entryKind: InspectionItem.Kind { .timeEntry }

    func fields(of entry: Entry) -> [(name: String, value: InspectionItem.Value)] {
        [("timestamp", .integer(entry.timestamp)), ("offset", .integer(offset(of: entry)))]
    }
}
