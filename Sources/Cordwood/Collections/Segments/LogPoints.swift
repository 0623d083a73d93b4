import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// Reads points of a collection from its log, by the offsets of their records.
struct LogPoints<S: Storage>: Sendable {
    /// A gap of more offsets is jumped over.
    private static var skippedOffsets: Int64 { 4096 }

    let log: any Log
    let storage: S
    let name: String
    let dimensions: Int

    /// Gives `take` the points of the entries, which are by offset, those of one batch of records at a
    /// time. One whose record is not there any more was replaced meanwhile, or given up. Throws what
    /// `take` and `check` throw, which is called between batches, and for a log that is damaged.
    ///
    /// A cancelled task reads no more, as if the log ended: who calls looks at that.
    func read(
        _ entries: [SealPlan.Entry], check: () throws(DatabaseError) -> Void,
        _ take: ([PointMutation]) async throws(DatabaseError) -> Void
    ) async throws(DatabaseError) {
        var left = entries[...]
        var iterator: BatchSequence.AsyncIterator?
        while let next = left.first {
            try check()
            // What the log has given up since is passed over.
            let start = max(next.offset, log.startOffset)
            var batches =
                iterator
                ?? BatchSequence(log, from: start, following: false, isolation: .logEnd)
                .makeAsyncIterator()
            let batch: RecordBatch?
            do { batch = try await batches.next() } catch {
                throw DatabaseError(error, "collection \(name)")
            }
            guard let batch else { break }
            let (remaining, points) = try await find(left, in: batch)
            left = remaining
            try await take(points)
            let isNear = (left.first?.offset ?? 0) <= batch.lastOffset + Self.skippedOffsets
            iterator = isNear ? batches : nil
        }
    }

    private func find(
        _ entries: ArraySlice<SealPlan.Entry>, in batch: RecordBatch
    ) async throws(DatabaseError) -> (left: ArraySlice<SealPlan.Entry>, points: [PointMutation]) {
        try await storage.offload { [name, dimensions] () throws(DatabaseError) in
            var left = entries
            var found: [PointMutation] = []
            try PointMutation.forEach(in: batch, dimensions: dimensions, name: name) {
                mutation throws(VectorError) in
                while let next = left.first, next.offset < mutation.offset { left.removeFirst() }
                guard let next = left.first, next.offset == mutation.offset,
                    next.id == mutation.id, mutation.vector != nil
                else { return }
                found.append(mutation)
                left.removeFirst()
            }
            while let next = left.first, next.offset <= batch.lastOffset { left.removeFirst() }
            return (left, found)
        }
    }
}
