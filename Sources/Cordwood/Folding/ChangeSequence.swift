public import CordwoodLog

/// What a record changed: change capture from a topic whose records' keys say what they are about.
public struct Change: Sendable, Hashable {
    public let key: [UInt8]
    /// The value that the log held before; nil where there was none.
    public let oldValue: [UInt8]?
    /// nil: the key is gone.
    public let newValue: [UInt8]?
    public let offset: Int64
    /// Milliseconds since 1970-01-01 UTC.
    public let timestamp: Int64
}

/// The changes of a partition from an offset on; see ``Partition/changes(from:following:isolation:)``.
public struct ChangeSequence: AsyncSequence, Sendable {
    public typealias Element = Change
    public typealias Failure = LogError

    let records: RecordSequence
    let start: Int64

    public func makeAsyncIterator() -> Iterator {
        Iterator(records: records.makeAsyncIterator(), start: start)
    }

    public struct Iterator: AsyncIteratorProtocol {
        private var records: RecordSequence.Iterator
        private let start: Int64
        private var values: [[UInt8]: [UInt8]] = [:]

        init(records: RecordSequence.Iterator, start: Int64) {
            self.records = records
            self.start = start
        }

        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(LogError) -> Change? {
            while let record = try await records.next() {
                guard let key = record.key else { continue }
                let old = values[key]
                values[key] = record.value
                if record.offset < start { continue }
                return Change(
                    key: key, oldValue: old, newValue: record.value, offset: record.offset,
                    timestamp: record.timestamp)
            }
            return nil
        }
    }
}

extension Partition {
    /// What each record from an offset on changed: its key, the value that was there before and the
    /// new one, or none for a tombstone. Records without a key are passed over.
    ///
    /// Reads the log from its start to know what was there, and keeps the latest value of each key
    /// in memory: O(keys). In a compacted topic, changes that compaction took out are not seen; the
    /// old value is then that of the latest record which was kept.
    public func changes(
        from offset: Int64 = 0, following: Bool = true, isolation: Isolation = .committed
    ) -> ChangeSequence {
        ChangeSequence(
            records: RecordSequence(
                log, from: startOffset, following: following, isolation: isolation),
            start: offset)
    }
}
