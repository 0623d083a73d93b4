public import CordwoodCache

/// What a ``CachedView`` has done since it was opened. Its parts are read one after the other, while it
/// goes on.
public struct CachedViewStatistics: Sendable, Hashable {
    /// Of the part in memory. Its loads are those that went to the disk tier or further.
    public var memory = CacheStatistics()
    /// Loads that went to the log or the origin.
    public var sourceLoads = 0
    /// Records that were followed.
    public var appliedRecords = 0
    /// Times that a log was cut, or had given up records, before the view had seen them, or was damaged
    /// where it has to be read: everything was forgotten then.
    public var resets = 0
    /// Keys whose latest record is known (``ViewSource/latestRecord``).
    public var knownKeys = 0
    /// Records that the origin may not have yet.
    public var pendingRecords = 0
    /// Offsets that the log gave up, by retention or by hand, before the origin had their records.
    public var unwrittenOffsets = 0
    /// Writes to the origin, and commits of its position, that failed and are tried again.
    public var originFailures = 0
    /// The last of these errors, until one succeeds.
    public var lastOriginError: String?
    public var disk = DiskTierStatistics()

    public init() {}
}

/// What the disk tier of a ``CachedView`` has and has done.
public struct DiskTierStatistics: Sendable, Hashable {
    public var hits = 0
    public var misses = 0
    /// Entries that were written into blocks, or wait for that.
    public var admitted = 0
    /// Entries that were not taken in, because their key may have changed while they left memory.
    public var refusedFills = 0
    /// Live entries.
    public var entryCount = 0
    public var blockCount = 0
    /// Bytes in blocks.
    public var byteCount = 0
    public var reclaimedBlocks = 0
    /// Blocks that were dropped, because a checksum did not hold or they could not be read.
    public var damagedBlocks = 0
    /// Times that something could not be written; what was lost by it is loaded again.
    public var writeFailures = 0
    /// What was noteworthy: the latest 16, damaged blocks by name among them.
    public var notes: [String] = []

    public init() {}
}
