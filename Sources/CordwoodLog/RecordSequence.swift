/// The batches of a log from an offset on, as they lie on disk: with the control batches that end
/// transactions, which replicas need, but for readers of ``Isolation/committed``.
///
/// Pulls: nothing is read before it is asked for, which is all the back-pressure there is. With
/// `following` it waits at the end for more; it ends when the log is closed or the task cancelled.
/// Iterators are independent of each other and of the writer. One that is beyond the place where the
/// log was truncated to throws ``LogError/Code/truncated`` and goes on from there.
public struct BatchSequence: AsyncSequence, Sendable {
    public typealias Element = RecordBatch
    public typealias Failure = LogError

    let log: any Log
    let start: Int64
    let following: Bool
    let isolation: Isolation

    public init(
        _ log: any Log, from start: Int64, following: Bool, isolation: Isolation = .uncommitted
    ) {
        self.log = log
        self.start = start
        self.following = following
        self.isolation = isolation
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(log: log, offset: start, following: following, isolation: isolation)
    }

    public struct Iterator: AsyncIteratorProtocol {
        /// About how much is fetched at a time.
        static let readBytes = 1 << 20

        let log: any Log
        /// The next offset to be read.
        var offset: Int64
        let following: Bool
        let isolation: Isolation
        private var known: KnownTruncations
        private var batches: ArraySlice<RecordBatch> = []

        init(log: any Log, offset: Int64, following: Bool, isolation: Isolation) {
            self.log = log
            self.offset = offset
            self.following = following
            self.isolation = isolation
            known = KnownTruncations(log.truncations)
        }

        /// The next batch; after an error, asking again reads at the same place again.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(LogError) -> RecordBatch? {
            while batches.isEmpty {
                if Task.isCancelled { return nil }
                let end: Int64
                do throws(LogError) {
                    try noteTruncations()
                    end = log.end(for: isolation)
                    batches = try await log.read(
                        from: offset, maximumBytes: Self.readBytes, isolation: isolation)[...]
                } catch {
                    // The log may be closed between two batches; for a follower that is the end.
                    if following, error.code == .closed { return nil }
                    // It may have been cut since it was looked at.
                    if error.code == .offsetOutOfRange { try noteTruncations() }
                    throw error
                }
                if !batches.isEmpty { break }
                // Up to here there was nothing for this reader: the rest was aborted or compacted.
                offset = Swift.max(offset, end)
                guard following, !log.isClosed else { return nil }
                await log.waitForRecords(
                    at: offset, isolation: isolation, truncations: known.count)
                if log.isClosed { return nil }
            }
            let batch = batches.removeFirst()
            offset = batch.lastOffset + 1
            return batch
        }

        private mutating func noteTruncations() throws(LogError) {
            guard let lowest = known.follow(log.truncations), lowest < offset else { return }
            let reached = offset
            offset = lowest
            throw LogError(
                .truncated, "the log was cut to offset \(lowest), this reader is at \(reached)",
                resumeOffset: lowest)
        }
    }
}

/// The records of a log from an offset on, without control records; see ``BatchSequence``. Each is
/// made when it is asked for. After ``LogError/Code/malformedRecord``,
/// ``LogError/Code/malformedCompression`` or ``LogError/Code/unsupportedCodec``, asking again goes
/// on behind the batch.
public struct RecordSequence: AsyncSequence, Sendable {
    public typealias Element = StoredRecord
    public typealias Failure = LogError

    private let batches: BatchSequence

    public init(
        _ log: any Log, from start: Int64, following: Bool, isolation: Isolation = .uncommitted
    ) {
        batches = BatchSequence(log, from: start, following: following, isolation: isolation)
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(start: batches.start, batches: batches.makeAsyncIterator())
    }

    public struct Iterator: AsyncIteratorProtocol {
        let start: Int64
        var batches: BatchSequence.Iterator
        private var records: RecordReader?

        init(start: Int64, batches: BatchSequence.Iterator) {
            self.start = start
            self.batches = batches
        }

        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(LogError) -> StoredRecord? {
            while true {
                // The first batch may begin before the offset that was asked for.
                while let record = try nextOfBatch() {
                    if record.offset >= start { return record }
                }
                guard let batch = try await batches.next() else { return nil }
                // The ends of transactions are no records of anybody's.
                if !batch.isControl { records = try RecordReader(batch) }
            }
        }

        /// The next record of the batch at hand; nil where there is none. A batch that does not
        /// parse is given up: the next call goes on behind it.
        private mutating func nextOfBatch() throws(LogError) -> StoredRecord? {
            guard var reader = records else { return nil }
            records = nil
            guard let record = try reader.next() else { return nil }
            records = reader
            return record
        }
    }
}
