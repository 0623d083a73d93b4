/// What one pass of compaction did.
public struct CompactionReport: Sendable, Hashable {
    /// Segments that were replaced, and those that took their place.
    public var replacedSegments = 0
    public var writtenSegments = 0
    /// Bytes read: the part that was not yet compacted twice, for the map and for rewriting.
    public var readBytes = 0
    public var writtenBytes = 0
    /// Keys in the map.
    public var keys = 0
    /// Everything before this offset is compacted.
    public var cleanedUpTo: Int64 = 0
    /// Whether the map was full, so that another pass is needed for the rest.
    public var isPartial = false
    /// Segments that were left as they are because they are damaged.
    public var passedOverSegments = 0

    public init() {}
}
