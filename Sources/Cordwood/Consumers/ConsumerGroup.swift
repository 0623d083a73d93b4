public import CordwoodLog
import CordwoodStorage

/// Where ``ConsumerGroup/reset(_:to:)`` moves a group.
public enum ResetTarget: Sendable, Hashable {
    /// To the first record that the log holds.
    case earliest
    /// After the last one.
    case latest

    func offset(in partition: Partition) -> CommittedOffset {
        let epochs = partition.log.epochs
        let offset =
            switch self {
            case .earliest: partition.startOffset
            case .latest: partition.highWatermark
            }
        return CommittedOffset(offset, leaderEpoch: epochs.epoch(at: offset - 1))
    }
}

/// A named set of consumers that share the work on some topics, and the offsets up to which they
/// have done it.
///
/// The offsets lie in an internal, compacted topic of the database, so they are as durable as
/// records. All members may be used from any task at any time; handles of the same name are the same
/// group.
public final class ConsumerGroup: Sendable {
    public let name: String
    let coordinator: GroupCoordinator
    let session: GroupSession
    var clock: any WallClock { coordinator.clock }

    init(name: String, coordinator: GroupCoordinator, session: GroupSession) {
        self.name = name
        self.coordinator = coordinator
        self.session = session
    }

    static func validate(_ name: String) throws(DatabaseError) {
        let limit = OffsetRecord.maximumGroupBytes
        guard (1...limit).contains(name.utf8.count) else {
            throw DatabaseError(
                .invalidName,
                "a consumer group's name: expected 1 to \(limit) bytes, found \(name.utf8.count)")
        }
    }

    // MARK: Offsets

    /// What the group has committed, everywhere.
    public func committed() async -> [TopicPartition: CommittedOffset] {
        await coordinator.committed(name)
    }

    /// What the group has committed in one partition; nil where nothing.
    public func committed(_ place: TopicPartition) async -> CommittedOffset? {
        await coordinator.committed(name, place)
    }

    /// Commits offsets without a consumer, for a reader that keeps count by itself.
    ///
    /// They take effect together; when this returns, acknowledged as asked. An offset may lie before
    /// the one committed last. Throws ``DatabaseError/Code/groupInUse`` where one of the group's
    /// consumers reads one of the partitions, and ``DatabaseError/Code/invalidOffset`` or
    /// ``DatabaseError/Code/unknownTopic``; nothing was written then.
    public func commit(
        _ offsets: [TopicPartition: CommittedOffset], acknowledge: Acknowledgement = .durable
    ) async throws(DatabaseError) {
        try await coordinator.validate(offsets)
        let (admitted, owned) = session.begin(offsets.keys)
        guard let commit = admitted else {
            throw DatabaseError(
                .groupInUse,
                "group \(name): a consumer reads \(owned.map { "\($0)" } ?? "a partition"); "
                    + "commit through it, or close it first")
        }
        defer { session.end(commit) }
        try await coordinator.write(name, offsets.mapValues { $0 }, acknowledge: acknowledge)
    }

    /// Moves the group to the start or the end of each of a topic's partitions.
    ///
    /// Throws ``DatabaseError/Code/groupInUse`` while the group has consumers.
    public func reset(_ topic: Topic, to target: ResetTarget) async throws(DatabaseError) {
        var offsets: [TopicPartition: CommittedOffset?] = [:]
        for partition in topic.partitions {
            offsets[TopicPartition(topic.name, partition.number)] =
                target.offset(in: partition)
        }
        try await writeAlone(offsets)
    }

    /// Deletes all that the group has committed. Throws ``DatabaseError/Code/groupInUse`` while it
    /// has consumers.
    public func delete() async throws(DatabaseError) {
        let offsets = await committed().mapValues { _ in CommittedOffset?.none }
        try await writeAlone(offsets)
    }

    private func writeAlone(
        _ offsets: [TopicPartition: CommittedOffset?]
    ) async throws(DatabaseError) {
        guard let commit = session.beginAlone() else {
            throw DatabaseError(
                .groupInUse, "group \(name) has consumers; close them first")
        }
        defer { session.end(commit) }
        try await coordinator.write(name, offsets, acknowledge: .durable)
    }

    /// How many offsets of each of a topic's partitions lie between what the group has committed
    /// and the end that readers of an isolation see; nil where it has committed nothing.
    public func lag(of topic: Topic, isolation: Isolation = .committed) async -> [Int64?] {
        let committed = await coordinator.committed(name)
        return topic.partitions.map { partition in
            committed[TopicPartition(topic.name, partition.number)].map {
                $0.lag(in: partition.log, isolation: isolation)
            }
        }
    }

    // MARK: Consumers

    /// Joins the group, to read some of the topics' partitions: those that fall to this consumer.
    ///
    /// The group's consumers of this process share the partitions by Kafka's range assignment. When
    /// one joins or leaves, partitions change hands at once; the new owner begins at what was
    /// committed last. Close it when it is no longer read.
    public func consumer(
        of topics: [Topic], _ configuration: ConsumerConfiguration = .init()
    ) throws(DatabaseError) -> Consumer {
        try configuration.validate()
        return Consumer(group: self, topics: topics, configuration)
    }

    /// Joins the group to read one topic. See ``consumer(of:_:)-([Topic],_)``.
    public func consumer(
        of topic: Topic, _ configuration: ConsumerConfiguration = .init()
    ) throws(DatabaseError) -> Consumer {
        try consumer(of: [topic], configuration)
    }
}
