/// Where an append put its records.
public struct Receipt: Sendable, Hashable {
    /// One for each record, in the order of the append.
    public let positions: [RecordPosition]

    /// The first record's offset, in its partition.
    public var firstOffset: Int64 { positions[0].offset }
    /// The last record's offset, in its partition.
    public var lastOffset: Int64 { positions[positions.count - 1].offset }
}

/// A record's place in a topic.
public struct RecordPosition: Sendable, Hashable {
    public let partition: Int
    public let offset: Int64

    public init(partition: Int, offset: Int64) {
        self.partition = partition
        self.offset = offset
    }
}
