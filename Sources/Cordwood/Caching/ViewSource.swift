/// Where the values of a ``CachedView`` come from.
public struct ViewSource: Sendable {
    /// Returns nil for a key that has no value.
    public typealias Load = @Sendable (_ key: [UInt8]) async throws -> [UInt8]?

    enum Kind: Sendable {
        case latestRecord
        case origin(Load)
        case writtenBehind(Load, WriteBehind)
    }

    let kind: Kind

    /// The value of the latest record with the key; a record without a value says that there is none.
    ///
    /// Opening reads the topic, O(its bytes), and keeps the offset of each key's latest record in memory:
    /// 24 bytes a slot, which is 32 to 64 bytes a key, whatever its length. A miss is one read of one batch.
    /// Keys are told apart by 128-bit hashes under a key drawn at each opening (SipHash): two of n would be
    /// taken for one with a probability below n²/2¹²⁹, and then only be reported, not be mixed up.
    public static let latestRecord = ViewSource(kind: .latestRecord)

    /// An origin, such as another database, that somebody else writes. A record says that its key has
    /// changed there: it is appended **after** the change, and its value does not matter.
    public static func origin(_ load: @escaping Load) -> ViewSource {
        ViewSource(kind: .origin(load))
    }

    /// An origin that is written behind the log: see ``WriteBehind``. A key whose record has not reached
    /// the origin has the record's value.
    public static func origin(_ load: @escaping Load, writingBehind: WriteBehind) -> ViewSource {
        ViewSource(kind: .writtenBehind(load, writingBehind))
    }

    var writeBehind: WriteBehind? {
        if case .writtenBehind(_, let writeBehind) = kind { return writeBehind }
        return nil
    }
}

/// Carries a topic's records to a slow origin, above a log that has them already.
///
/// Each record with a key is written when it is durable, those of a partition one after the other in the
/// order of the log, partitions side by side. A write that throws is tried again, after twice the time of
/// the last pause, until it succeeds: nothing is passed over. How far a partition has come is committed by
/// a consumer group, so that a restart goes on there: **at least once**; what was written and not yet
/// committed is written again, from there on in order, so that `write` may see an older record once more
/// before the newer ones. A partition for which the group has committed nothing begins at the log's start.
///
/// What is on its way is bounded: the view does not go further than `maximumPendingRecords` and
/// `maximumPendingBytes` beyond what the origin has, and so its writers wait.
public struct WriteBehind: Sendable {
    /// Keeps the positions; it must have no other consumers of the topic.
    public var group: ConsumerGroup
    /// Writes a record's value at its key, or removes the key where it has none.
    public var write: @Sendable (ConsumerRecord) async throws -> Void
    /// In each partition.
    public var maximumPendingRecords = 4096
    /// In each partition; one record may be larger.
    public var maximumPendingBytes = 16 << 20
    /// The pause after a first failure, which doubles up to ``maximumRetryPause``.
    public var retryPause: Duration = .milliseconds(50)
    public var maximumRetryPause: Duration = .seconds(30)
    /// After how many records the position is committed, if it was not because all were written.
    public var commitEveryRecords = 256

    public init(
        group: ConsumerGroup, write: @escaping @Sendable (ConsumerRecord) async throws -> Void
    ) {
        self.group = group
        self.write = write
    }

    func validate() throws(DatabaseError) {
        func check(_ name: String, _ holds: Bool, _ found: String) throws(DatabaseError) {
            guard holds else {
                throw DatabaseError(
                    .invalidConfiguration, "\(name): expected 1 or more, found \(found)")
            }
        }
        try check("maximumPendingRecords", maximumPendingRecords >= 1, "\(maximumPendingRecords)")
        try check("maximumPendingBytes", maximumPendingBytes >= 1, "\(maximumPendingBytes)")
        try check("commitEveryRecords", commitEveryRecords >= 1, "\(commitEveryRecords)")
        guard retryPause > .zero, maximumRetryPause >= retryPause else {
            throw DatabaseError(
                .invalidConfiguration,
                "retryPause: expected more than 0 and at most maximumRetryPause, found "
                    + "\(retryPause) and \(maximumRetryPause)")
        }
    }
}
