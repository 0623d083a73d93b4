/// One segment of a collection, as it is now.
public struct SegmentSummary: Sendable, Hashable {
    /// Rises with every segment that is built.
    public var number: Int64
    /// How many vectors its index has.
    public var vectorCount: Int
    /// How many of them have not been deleted or replaced.
    public var liveCount: Int
    /// Of its files.
    public var bytes: Int
    public var bytesInMemory: Int
    /// Where the records of its points lie in the collection's log.
    public var offsets: Range<Int64>

    init(_ live: LiveSegment) {
        number = live.segment.number
        vectorCount = live.live.count
        liveCount = live.liveCount
        bytes = live.segment.files.indexBytes + live.segment.files.placesBytes
        bytesInMemory = live.segment.bytesAllocated + live.live.count / 8
        offsets = live.segment.offsetRange
    }
}
