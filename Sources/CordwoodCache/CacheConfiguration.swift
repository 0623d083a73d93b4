/// How large a cache is and how long its entries live.
public struct CacheConfiguration: Sendable, Hashable {
    /// The sum of the weights that the cache holds: a number of entries unless the cache has a weigher,
    /// such as one that counts bytes.
    public var capacity: Int
    /// Into how many parts of their own lock and capacity the cache is cut, at most 1,024. An entry must
    /// fit into one. By default 1 for each 8,192 of the capacity, up to 16: smaller ones would differ too
    /// much in how many of the used keys each has.
    public var shards: Int?
    /// After what time a value is no longer served; nil for never.
    public var timeToLive: Duration?
    /// By what part of their time to live entries may die earlier, at random, so that those that came
    /// together do not go together: 0 to 1.
    public var timeToLiveJitter = 0.1
    /// For what time the absence of a value is remembered; nil for not at all.
    public var negativeTimeToLive: Duration?
    /// How eagerly a reader renews an entry before it expires, at random and the likelier the longer
    /// loading took: the β of XFetch, for which 1 is the best; 0 turns it off. The reader does not wait.
    ///
    /// Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (2015).
    public var earlyRefresh = 1.0
    /// For how long before an entry expires every reader renews it, without waiting.
    public var refreshAhead: Duration?
    /// After what time waiting for a load ends with an error; nil for never.
    public var loadDeadline: Duration? = .seconds(30)
    /// How many loads may run, those included whose deadline has passed and that have not returned.
    public var maximumLoads = 4096
    /// How many evictions may wait for the hook; those beyond are counted and not reported.
    public var maximumPendingEvictions = 4096

    public init(capacity: Int) { self.capacity = capacity }

    static let maximumShards = 1024
    private static let entriesWorthAShard = 8192
    /// What one shard's table can number.
    static let maximumEntriesPerShard = SlotTable.maximumSlots

    /// - Throws: ``CacheError/Code/invalidCapacity`` or ``CacheError/Code/invalidConfiguration``.
    func validate() throws(CacheError) {
        guard capacity >= 1 else {
            throw CacheError(
                .invalidCapacity, "expected a capacity of 1 or more, found \(capacity)")
        }
        if let shards {
            try Self.check(
                (1...min(Self.maximumShards, capacity)).contains(shards), "shards",
                "1 to \(min(Self.maximumShards, capacity))", "\(shards)")
        }
        let durations = [
            ("timeToLive", timeToLive), ("negativeTimeToLive", negativeTimeToLive),
            ("refreshAhead", refreshAhead), ("loadDeadline", loadDeadline),
        ]
        for case (let name, let duration?) in durations {
            try Self.check(duration > .zero, name, "more than 0", "\(duration)")
        }
        try Self.check(
            timeToLiveJitter >= 0 && timeToLiveJitter <= 1, "timeToLiveJitter", "0 to 1",
            "\(timeToLiveJitter)")
        try Self.check(
            earlyRefresh >= 0 && earlyRefresh <= 1_000, "earlyRefresh", "0 to 1,000",
            "\(earlyRefresh)")
        try Self.check(maximumLoads >= 1, "maximumLoads", "1 or more", "\(maximumLoads)")
        try Self.check(
            maximumPendingEvictions >= 1, "maximumPendingEvictions", "1 or more",
            "\(maximumPendingEvictions)")
    }

    private static func check(
        _ holds: Bool, _ name: String, _ expected: String, _ found: String
    ) throws(CacheError) {
        guard holds else {
            throw CacheError(.invalidConfiguration, "\(name): expected \(expected), found \(found)")
        }
    }

    /// A power of two, or what the caller asked for.
    var shardCount: Int {
        if let shards { return shards }
        var count = 1
        while count < 16, capacity / (count * 2) >= Self.entriesWorthAShard { count *= 2 }
        while count < Self.maximumShards, capacity / count > Self.maximumEntriesPerShard {
            count *= 2
        }
        return count
    }
}
