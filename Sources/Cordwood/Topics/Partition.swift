public import CordwoodLog

/// One log of a topic. All members may be used from any task at any time.
public final class Partition: Sendable {
    /// From 0.
    public let number: Int
    let log: any Log

    init(number: Int, log: any Log) {
        self.number = number
        self.log = log
    }

    /// The first offset that can be read.
    public var startOffset: Int64 { log.startOffset }
    /// The offset after the last record that was written.
    public var endOffset: Int64 { log.endOffset }
    /// The end of what readers of ``Isolation/uncommitted`` see: what replicas have, too.
    public var highWatermark: Int64 { log.highWatermark }
    /// The end of what readers of ``Isolation/committed`` see: the high watermark, or the first
    /// record of a transaction that is still open.
    public var lastStableOffset: Int64 { log.lastStableOffset }

    /// The end of what readers of an isolation see.
    public func endOffset(for isolation: Isolation) -> Int64 {
        switch isolation {
        case .logEnd: endOffset
        case .uncommitted: highWatermark
        case .committed: lastStableOffset
        }
    }

    /// Every record before this offset is on the medium.
    public var durableOffset: Int64 { log.durableOffset }
    public var byteCount: Int { log.byteCount }
    public var segmentCount: Int { log.segmentCount }
    public var statistics: LogStatistics { log.statistics }

    /// Appends records to this partition, side by side, whatever their keys. See ``Log/append(_:acknowledge:)``.
    public func append(
        _ records: [Record], acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Receipt {
        let offsets = try await log.append(records, acknowledge: acknowledge)
        return Receipt(positions: offsets.map { RecordPosition(partition: number, offset: $0) })
    }

    /// The records from an offset on, copied out one by one. With `following`, waits at the end for
    /// more, until the database is closed or the task cancelled.
    ///
    /// With ``Isolation/committed`` the records of a transaction come once it is committed; those of
    /// an aborted one never do.
    public func records(
        from offset: Int64, following: Bool = true, isolation: Isolation = .uncommitted
    ) -> RecordSequence {
        RecordSequence(log, from: offset, following: following, isolation: isolation)
    }

    /// The batches from the one that holds an offset on, as they lie in the log, without a copy.
    public func batches(
        from offset: Int64, following: Bool = true, isolation: Isolation = .uncommitted
    ) -> BatchSequence {
        BatchSequence(log, from: offset, following: following, isolation: isolation)
    }

    /// Reads every byte from disk and holds it against every checksum. O(bytes).
    public func verify() async throws(LogError) -> VerificationReport {
        try await log.verify()
    }
}
