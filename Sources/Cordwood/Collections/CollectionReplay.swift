import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// Builds a collection's view from its log, from the first record to the last. O(bytes).
struct CollectionReplay {
    let log: any Log
    let configuration: CollectionConfiguration
    let name: String

    /// Reads, decodes and applies batch by batch, so memory holds little beside the view. Throws
    /// when the log is damaged: a view with holes would answer wrongly without saying so.
    func run<S: Storage>(on storage: S) async throws(DatabaseError) -> CollectionView<S> {
        let index: FlatIndex
        do {
            index = try FlatIndex(
                dimensions: configuration.dimensions, metric: configuration.metric)
        } catch { throw DatabaseError(error, "collection \(name)") }
        let building = ReadWriteLock(index)
        // Replicated or not: changes are applied when they are appended.
        var batches = BatchSequence(
            log, from: log.startOffset, following: false, isolation: .logEnd
        ).makeAsyncIterator()
        var applied = log.startOffset
        while true {
            let next: RecordBatch?
            do { next = try await batches.next() } catch {
                throw DatabaseError(error, "collection \(name)")
            }
            guard let batch = next else { break }
            let (name, dimensions) = (name, configuration.dimensions)
            try await storage.offload { () throws(DatabaseError) in
                try building.write { index throws(DatabaseError) in
                    try Self.apply(batch, to: &index, name: name, dimensions: dimensions)
                }
            }
            applied = batch.lastOffset + 1
        }
        return CollectionView(building, appliedOffset: applied, storage: storage)
    }

    private static func apply(
        _ batch: RecordBatch, to index: inout FlatIndex, name: String, dimensions: Int
    ) throws(DatabaseError) {
        var records: RecordReader?
        func next() throws(DatabaseError) -> StoredRecord? {
            do {
                if records == nil { records = try RecordReader(batch) }
                return try records?.next()
            } catch { throw DatabaseError(error, "collection \(name)") }
        }
        while let record = try next() {
            let mutation = try PointCodec.mutation(of: record, dimensions: dimensions)
            do { try mutation.apply(to: &index) } catch {
                throw DatabaseError(error, "collection \(name), offset \(record.offset)")
            }
        }
    }
}
