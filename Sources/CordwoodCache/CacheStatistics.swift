/// What a cache has done since it was made. Its parts are read one after the other, while it goes on.
public struct CacheStatistics: Sendable, Hashable {
    /// Lookups that found a value, or that it is known to be absent.
    public var hits = 0
    public var misses = 0
    /// Entries that made room for others.
    public var evictions = 0
    /// Entries that were found to be past their time.
    public var expirations = 0
    /// Entries that were invalidated.
    public var invalidations = 0
    /// Loads that were begun.
    public var loads = 0
    /// Loads that threw or whose deadline passed.
    public var loadFailures = 0
    /// Loads that were begun to renew an entry before it expires.
    public var refreshes = 0
    /// Loaded values that were not kept, because their key was invalidated or written meanwhile.
    public var refusedFills = 0
    /// Loaded values that were too heavy to be kept.
    public var tooHeavyFills = 0
    /// Evictions that were not reported, because the hook was too slow.
    public var unreportedEvictions = 0
    /// Entries that are held, those included that are past their time and were not asked for since.
    public var entryCount = 0
    /// The sum of their weights.
    public var weight = 0

    public init() {}

    /// The part of lookups that found something; 0 before the first.
    public var hitRatio: Double {
        let lookups = hits + misses
        return lookups == 0 ? 0 : Double(hits) / Double(lookups)
    }

    @usableFromInline static func += (a: inout CacheStatistics, b: CacheStatistics) {
        a.hits += b.hits
        a.misses += b.misses
        a.evictions += b.evictions
        a.expirations += b.expirations
        a.invalidations += b.invalidations
        a.loads += b.loads
        a.loadFailures += b.loadFailures
        a.refreshes += b.refreshes
        a.refusedFills += b.refusedFills
        a.tooHeavyFills += b.tooHeavyFills
        a.unreportedEvictions += b.unreportedEvictions
        a.entryCount += b.entryCount
        a.weight += b.weight
    }
}
