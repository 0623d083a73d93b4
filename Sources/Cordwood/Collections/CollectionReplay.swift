import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// Builds a collection's view from its segments and its log.
struct CollectionReplay<S: Storage>: Sendable {
    let log: any Log
    let configuration: CollectionConfiguration
    let name: String
    let storage: S
    /// Nil where nothing is sealed.
    let sealer: Sealer<S>?

    /// Opens the segments and replays the log from where they end: O(bytes of the segments and of the
    /// rest of the log). Where a segment cannot be used, the whole log is read, and what it had is in the
    /// head.
    ///
    /// Reads, decodes and applies batch by batch, so memory holds little beside the view. Throws
    /// when the log is damaged: a view with holes would answer wrongly without saying so.
    func run() async throws(DatabaseError) -> CollectionView<S> {
        guard let sealer else { return try await run(segments: [], replayFrom: nil) }
        return try await sealer.store.turn.withLock { () async throws(DatabaseError) in
            let (segments, offset) = await sealer.store.open(for: log)
            return try await run(segments: segments, replayFrom: offset)
        }
    }

    private func run(
        segments: [LiveSegment], replayFrom offset: Int64?
    ) async throws(DatabaseError) -> CollectionView<S> {
        let head: FlatIndex
        do {
            head = try FlatIndex(
                dimensions: configuration.dimensions, metric: configuration.metric)
        } catch { throw DatabaseError(error, "collection \(name)") }
        // Retention may have given up what the segments end with.
        let start = max(offset ?? 0, log.startOffset)
        let building = ReadWriteLock(
            CollectionPoints(head: head, segments: segments, appliedOffset: start))
        // Replicated or not: changes are applied when they are appended.
        var batches = BatchSequence(log, from: start, following: false, isolation: .logEnd)
            .makeAsyncIterator()
        let (name, dimensions, adopts) = (name, configuration.dimensions, offset == nil)
        while true {
            let next: RecordBatch?
            do { next = try await batches.next() } catch {
                throw DatabaseError(error, "collection \(name)")
            }
            guard let batch = next else { break }
            try await storage.offload { () throws(DatabaseError) in
                try building.write { points throws(DatabaseError) in
                    try Self.apply(
                        batch, from: start, to: &points, adopts: adopts, name: name,
                        dimensions: dimensions)
                }
            }
        }
        // A cancelled task reads no more, as if the log ended.
        if Task.isCancelled { throw DatabaseError(.cancelled, "opening of collection \(name)") }
        let firstOffset = log.startOffset
        await storage.offload {
            building.write { $0.drop(before: firstOffset) }
        }
        return CollectionView(
            building, of: name, sealer: sealer, sealAfter: configuration.sealAfter,
            storage: storage)
    }

    private static func apply(
        _ batch: RecordBatch, from start: Int64, to points: inout CollectionPoints, adopts: Bool,
        name: String, dimensions: Int
    ) throws(DatabaseError) {
        try PointMutation.forEach(in: batch, dimensions: dimensions, name: name) {
            mutation throws(VectorError) in
            // The first batch may begin before the offset that was asked for.
            guard mutation.offset >= start else { return }
            if adopts { try points.adopt(mutation) } else { try points.apply(mutation) }
        }
        points.appliedOffset = batch.lastOffset + 1
    }
}
