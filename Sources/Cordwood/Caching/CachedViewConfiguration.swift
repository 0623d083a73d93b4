public import CordwoodCache
public import CordwoodLog

/// How much a ``CachedView`` holds and how it follows its topic.
public struct CachedViewConfiguration: Sendable {
    /// The memory part. Its capacity is in bytes: of keys, values and ``entryOverheadBytes`` for each entry.
    public var cache: CacheConfiguration
    /// Which records count: by default those of transactions when they are committed.
    public var isolation: Isolation = .committed
    /// After what time ``CachedView/value(for:atLeast:)-(_,RecordPosition)`` and writes give up; nil for
    /// never.
    public var readDeadline: Duration? = .seconds(30)
    /// Where values are kept that memory has no room for; nil for nowhere.
    public var disk: DiskTierConfiguration?

    /// What an entry weighs beside its key and value.
    public static let entryOverheadBytes = 128

    /// A view with a cache of so many bytes. A value must fit a sixteenth of a large cache (see
    /// `CacheConfiguration.shards`); one that does not is served and not kept.
    public init(capacityBytes: Int) {
        cache = CacheConfiguration(capacity: capacityBytes)
        // A shard for each MiB: one for each 8 KiB would be too small for many values.
        cache.shards = max(1, min(16, capacityBytes >> 20))
    }

    func validate() throws(DatabaseError) {
        if let readDeadline, readDeadline <= .zero {
            throw DatabaseError(
                .invalidConfiguration, "readDeadline: expected more than 0, found \(readDeadline)")
        }
        guard let disk else { return }
        try disk.validate()
        // What is on disk has no age, and the log says when it is over.
        guard cache.timeToLive == nil else {
            throw DatabaseError(
                .invalidConfiguration,
                "timeToLive: expected none beside a tier on disk, found \(cache.timeToLive!)")
        }
    }
}

/// The part of a ``CachedView`` that lies on disk.
public struct DiskTierConfiguration: Sendable, Hashable {
    /// The tier's name in the database, one with those of snapshots of folds: 1 to 249 characters of
    /// `A-Z a-z 0-9 . _ -`.
    public var name: String
    /// The size of all blocks. The oldest one goes as a whole when there are more.
    public var maximumBytes: Int
    /// About how large a block is; as much is held in memory until it is written. A larger entry has a
    /// block of its own.
    public var blockBytes = 4 << 20
    /// How many entries the blocks may have: each takes some 80 bytes of memory.
    public var maximumEntries = 1 << 20
    /// A number to be changed together with what the loader's values mean: a tier of another version is
    /// not used.
    public var version: UInt32 = 1

    public init(name: String, maximumBytes: Int) {
        self.name = name
        self.maximumBytes = maximumBytes
    }

    func validate() throws(DatabaseError) {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(DatabaseError) {
            guard range.contains(value) else {
                throw DatabaseError(
                    .invalidConfiguration,
                    "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        try check("blockBytes", blockBytes, TierBlock.minimumBytes...TierBlock.maximumEntryBytes)
        try check("maximumBytes", maximumBytes, 2 * blockBytes...max(2 * blockBytes, 1 << 44))
        try check("maximumEntries", maximumEntries, 1...(1 << 31))
    }
}
