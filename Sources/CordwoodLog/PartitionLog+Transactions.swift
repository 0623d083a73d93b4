import CordwoodStorage

/// Which transactions were aborted: for readers of committed records.
extension PartitionLog {
    /// The batches of which a reader of committed records sees the records.
    nonisolated func committed(
        _ batches: ArraySlice<RecordBatch>
    ) async throws(LogError) -> [RecordBatch] {
        let records = batches.filter { !$0.isControl }
        guard let first = records.first, let last = records.last,
            records.contains(where: \.isTransactional)
        else { return records }
        let aborted = try await abortedTransactions(in: first.baseOffset..<last.lastOffset + 1)
        guard !aborted.isEmpty else { return records }
        let byProducer = Dictionary(grouping: aborted, by: \.producerID)
        return records.filter { batch in
            guard batch.isTransactional, let producer = batch.producer,
                let transactions = byProducer[producer.producerID]
            else { return true }
            // A producer has one transaction at a time, so theirs do not overlap.
            let next = transactions.partitionIndex { $0.lastOffset > batch.baseOffset }
            return next == transactions.count || transactions[next].firstOffset > batch.baseOffset
        }
    }

    public nonisolated func abortedTransactions(
        in offsets: Range<Int64>
    ) async throws(LogError) -> [AbortedTransaction] {
        // The end's view and the list of segments are of one moment.
        let (segments, active, since) = state.read { snapshot in
            let first = snapshot.sealed.partitionIndex { $0.end.nextOffset > offsets.lowerBound }
            return (
                snapshot.sealed[first...],
                snapshot.transactions.aborted.overlapping(offsets),
                snapshot.transactions.producersSince
            )
        }
        guard let since, since < offsets.upperBound else { return [] }
        var found: [AbortedTransaction] = []
        for segment in segments where segment.end.nextOffset > since {
            let index = try await transactionIndex(of: segment)
            found += index.entries.overlapping(offsets)
            if index.stableOffset >= offsets.upperBound { return found }
        }
        return found + active
    }

    /// The transaction index of a sealed segment: from memory, from its file, or made anew from
    /// the log, which costs a read of the segment.
    nonisolated func transactionIndex(
        of segment: SealedSegment<S>
    ) async throws(LogError) -> TransactionIndex {
        let id = segment.info.id
        let end = segment.end.nextOffset
        if let index = transactionIndexes.find(id, end: end) { return index }
        let file = transactionIndexFile(segment.header)
        var index = try await file.load(end: end)
        if index == nil {
            let fresh = try await rebuildTransactionIndex(of: segment)
            await persist(fresh, of: segment)
            index = fresh
        }
        let found = index ?? TransactionIndex(end: end, stableOffset: end)
        transactionIndexes.insert(found, for: id)
        return found
    }

    nonisolated func transactionIndexFile(_ header: SegmentHeader) -> TransactionIndexFile<S> {
        TransactionIndexFile(header: header, directory: directory, storage: storage)
    }

    /// Makes the index from the producer snapshot before the segment and the batches behind it.
    nonisolated func rebuildTransactionIndex(
        of segment: SealedSegment<S>
    ) async throws(LogError) -> TransactionIndex {
        let end = segment.end.nextOffset
        var replay = try await producerSnapshot(atOrBefore: segment.baseOffset)
        try await self.replay(&replay, to: end)
        // The walk ended inside the segment, so that its markers are the ones in hand.
        let aborted = replay.segmentBase == segment.baseOffset ? replay.aborted : []
        return TransactionIndex(
            entries: aborted, end: end,
            stableOffset: min(replay.states.firstUndecided ?? end, end))
    }

    /// Keeps an index that was made anew, unless the segment is gone meanwhile. A failure is no
    /// obstacle: the next opening tries again.
    private func persist(_ index: TransactionIndex, of segment: SealedSegment<S>) async {
        await structure.acquire()
        defer { structure.release() }
        let isCurrent = state.read { $0.sealed.contains { $0 === segment } && !$0.isClosed }
        guard isCurrent, failure == nil else { return }
        do throws(StorageError) {
            try await transactionIndexFile(segment.header).replace(with: index)
        } catch {}
    }
}

extension [AbortedTransaction] {
    /// Those of a segment, in the order of their markers, with records in `offsets`.
    /// O(log n + those whose markers come before all of `offsets` is decided).
    func overlapping(_ offsets: Range<Int64>) -> [AbortedTransaction] {
        var found: [AbortedTransaction] = []
        for transaction in self[partitionIndex { $0.lastOffset > offsets.lowerBound }...] {
            if transaction.overlaps(offsets) { found.append(transaction) }
            // Transactions that end later begin behind that.
            if transaction.lastStableOffset >= offsets.upperBound { break }
        }
        return found
    }
}

extension AbortedTransaction {
    /// Whether any of its records may lie in `offsets`.
    func overlaps(_ offsets: Range<Int64>) -> Bool {
        firstOffset < offsets.upperBound && lastOffset > offsets.lowerBound
    }
}
