import CordwoodStorage

/// Producer snapshots, and what the batches themselves say of producers and transactions.
extension LogInspector {
    /// Goes over to a segment: holds the snapshot that it begins with against the batches before it,
    /// or goes on from that snapshot where those cannot tell.
    ///
    /// `isExpected` says that the roll before made one durable.
    mutating func beginProducers(_ segment: SegmentFacts, isExpected: Bool) async throws {
        let base = segment.header.baseOffset
        var walk =
            producers
            ?? ProducerWalk(at: base, isExact: isManifestSound && base <= producersSince ?? base)
        let snapshot =
            isExpected || snapshots.contains(base)
            ? try await takeSnapshot(base, of: segment.id, isExpected: isExpected) : nil
        let problem = walk.startSegment(at: base, with: snapshot)
        if let snapshot, let problem { try contradiction(snapshot, problem) }
        if segment.seal?.isCompacted ?? false { walk.lose() }
        producers = walk
    }

    /// Takes in a batch of a producer.
    mutating func absorb(
        _ batch: RecordBatch, _ header: BatchHeader, at position: Int, _ views: inout SegmentViews,
        _ path: StoragePath, _ segment: SegmentFacts
    ) throws {
        guard let (completed, control) = producers?.absorb(batch), let control else { return }
        if options.showsTransactions {
            try emit(InspectionItem(control, completed, header, path, at: position))
        }
        guard control.marker == .abort else { return }
        let problem = views.transactions?.arrive(
            at: batch.lastOffset, producerID: header.producerID,
            aborted: completed?.transaction, isExact: producers?.isExact ?? false)
        if let problem { try contradiction(problem, &views, segment) }
    }

    /// Holds a transaction index that is held to its end against the whole segment.
    mutating func finishTransactions(_ views: inout SegmentViews, _ segment: SegmentFacts) throws {
        let walk = producers.flatMap { $0.isExact ? $0.state : nil }
        let problem = views.transactions?.finish(stableOffset: walk?.stableOffset)
        if let problem { try contradiction(problem, &views, segment) }
    }

    private mutating func contradiction(
        _ problem: String, _ views: inout SegmentViews, _ segment: SegmentFacts
    ) throws {
        // What follows would only be of the same kind.
        views.transactions = nil
        try damage(SegmentFiles.transactionIndex(segment.id, in: directory), at: nil, problem)
    }

    // MARK: Snapshots

    /// The offsets of snapshots that lie inside a segment, which are looked at on the way.
    func snapshots(inside segment: SegmentFacts) -> [Int64] {
        guard readsSnapshots else { return [] }
        let base = segment.header.baseOffset
        let end = segment.end?.nextOffset ?? .max
        return snapshots.filter { $0 > base && $0 < end }
    }

    /// Holds the snapshots up to a place of the walk against the batches before it.
    mutating func passSnapshots(
        upTo offset: Int64, _ views: inout SegmentViews, of segment: SegmentFacts
    ) async throws {
        while let next = views.snapshots.first, next <= offset {
            views.snapshots.removeFirst()
            let snapshot = try await takeSnapshot(next, of: segment.id, isExpected: false)
            if let snapshot, let problem = producers?.problem(with: snapshot) {
                try contradiction(snapshot, problem)
            }
        }
    }

    /// Tells of the snapshots that lie behind a segment's last batch.
    mutating func finishSnapshots(_ views: inout SegmentViews, of segment: SegmentFacts) throws {
        for offset in views.snapshots {
            snapshots.removeAll { $0 == offset }
            try note(
                SegmentFiles.producerSnapshot(offset, in: directory),
                "behind the log's end: its batches never reached the medium; opening removes it")
        }
        views.snapshots = []
    }

    /// Looks at snapshots that lie in no segment.
    mutating func inspectRemainingSnapshots() async throws {
        guard options.baseOffset == nil else { return }
        for offset in snapshots {
            if readsSnapshots {
                _ = try await takeSnapshot(offset, of: nil, isExpected: false)
            } else {
                try note(
                    SegmentFiles.producerSnapshot(offset, in: directory),
                    "the manifest knows of no producers, so nobody reads it")
            }
        }
        snapshots = []
    }

    private mutating func contradiction(_ snapshot: ProducerSnapshot, _ problem: String) throws {
        try damage(SegmentFiles.producerSnapshot(snapshot.offset, in: directory), at: nil, problem)
    }

    /// Reads and shows a snapshot; nil where there is none that holds.
    private mutating func takeSnapshot(
        _ offset: Int64, of segment: SegmentID?, isExpected: Bool
    ) async throws -> ProducerSnapshot? {
        guard readsSnapshots, let logID else { return nil }
        snapshots.removeAll { $0 == offset }
        let path = SegmentFiles.producerSnapshot(offset, in: directory)
        switch try await content(of: path, maximumBytes: ProducerSnapshot.maximumByteCount) {
        case .missing:
            // One that is not expected is gone, or was never needed.
            if isExpected {
                try await missing(
                    path, of: segment, "missing; opening replays the log from the one before")
            }
            return nil
        case .unreadable(let problem):
            try damage(path, at: nil, problem)
            return nil
        case .bytes(let block):
            let snapshot = withExtendedLifetime(block) {
                ProducerSnapshot(block.unsafeBytes, logID: logID, expectedOffset: offset)
            }
            guard let snapshot else {
                try damage(
                    path, at: nil, "not sound; opening replays the log from the one before")
                return nil
            }
            if options.showsProducers { try show(snapshot, path) }
            return snapshot
        }
    }

    private func show(_ snapshot: ProducerSnapshot, _ path: StoragePath) throws {
        try emit(
            .init(
                .producerSnapshot, path, at: 0,
                [
                    "offset": .integer(snapshot.offset),
                    "segment": .integer(snapshot.segmentBase),
                    "producers": .count(snapshot.states.count),
                    "aborted": .count(snapshot.aborted.count),
                ]))
        var position = ProducerSnapshot.headerByteCount
        for (id, producer) in snapshot.states.producers.sorted(by: { $0.key < $1.key }) {
            try emit(InspectionItem(id, producer, path, at: position))
            position += ProducerSnapshot.byteCount(of: producer)
        }
        for transaction in snapshot.aborted {
            try emit(InspectionItem(transaction, path, at: position))
            position += AbortedTransaction.byteCount
        }
    }

    // MARK: What the batches say

    /// Shows the producers and the open transactions behind the last batch.
    func showProducers() throws {
        guard let walk = producers else { return }
        let known = walk.state.states.producers.sorted { $0.key < $1.key }
        if options.showsProducers {
            try emit(
                .init(
                    .producers, directory,
                    [
                        "offset": .integer(walk.state.offset), "producers": .count(known.count),
                        "complete": .boolean(walk.isExact),
                    ]))
            for (id, producer) in known { try emit(InspectionItem(id, producer, directory)) }
        }
        guard options.showsTransactions else { return }
        for (id, producer) in known {
            guard let start = producer.transactionStart else { continue }
            try emit(InspectionItem(openOf: id, producer, from: start, directory))
        }
    }
}
