public import CordwoodLog

/// A named stream of records, spread over partitions by key. All members may be used from any task
/// at any time.
public final class Topic: Sendable {
    public let name: String
    public let partitions: [Partition]
    private let partitioner: Partitioner
    /// Where folds of the topic keep their snapshots.
    let views: ViewStore

    init(name: String, logs: [any Log], views: ViewStore) {
        self.name = name
        self.views = views
        partitions = logs.enumerated().map { Partition(number: $0.offset, log: $0.element) }
        partitioner = Partitioner(partitions: logs.count)
    }

    /// What the topic was created with, or ``Database/alterTopic(_:_:)`` has made of it since.
    public var configuration: TopicConfiguration {
        TopicConfiguration(partitions: partitions.count, log: partitions[0].log.configuration)
    }

    /// The partition of that number. Traps outside `0..<configuration.partitions`.
    public subscript(_ partition: Int) -> Partition { partitions[partition] }

    /// The number of the partition that records with this key are appended to.
    public func partition(of key: [UInt8]) -> Int { partitioner.partition(of: key) }

    /// Appends records: one with a key to the partition that murmur2 of the key names, as Kafka
    /// does; those without a key together to one partition, in turn.
    ///
    /// Records for the same partition keep their order and get consecutive offsets. Partitions
    /// succeed or fail by themselves: when this throws, the records of other partitions may have
    /// been appended. Nothing is appended when a record is too large or there is none.
    public func append(
        _ records: [Record], acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Receipt {
        if partitions.count == 1 {
            return try await partitions[0].append(records, acknowledge: acknowledge)
        }
        let groups = group(records)
        if groups.count < 2 {
            // An append of nothing is refused by the log.
            return try await partitions[groups.first?.partition ?? 0].append(
                records, acknowledge: acknowledge)
        }
        // Every record is checked before the first partition takes any.
        for group in groups { try partitions[group.partition].log.check(group.records) }
        return try await append(groups, count: records.count, acknowledge)
    }

    public var statistics: LogStatistics {
        partitions.reduce(LogStatistics()) { $0 + $1.statistics }
    }

    /// Reads every byte of every partition and holds it against every checksum.
    public func verify() async throws(LogError) -> VerificationReport {
        var report = VerificationReport()
        for partition in partitions { report = report + (try await partition.verify()) }
        return report
    }

    /// The records of one append that go to the same partition.
    struct Group: Sendable {
        var partition: Int
        var records: [Record] = []
        /// Where each of them was in the append.
        var indices: [Int] = []
    }

    func group(_ records: [Record]) -> [Group] {
        var groups: [Int: Group] = [:]
        var keyless: Int?
        for (index, record) in records.enumerated() {
            let partition: Int
            if let key = record.key {
                partition = partitioner.partition(of: key)
            } else {
                partition = keyless ?? partitioner.nextForKeyless()
                keyless = partition
            }
            groups[partition, default: Group(partition: partition)].records.append(record)
            groups[partition]?.indices.append(index)
        }
        return groups.values.sorted { $0.partition < $1.partition }
    }

    private func append(
        _ groups: [Group], count: Int, _ acknowledge: Acknowledgement
    ) async throws(LogError) -> Receipt {
        typealias Outcome = (group: Group, result: Result<Receipt, LogError>)
        let outcomes = await withTaskGroup(of: Outcome.self) { tasks in
            for group in groups {
                let partition = partitions[group.partition]
                // Immediate, so that appends which are started one after another (with
                // `Task.immediate`) queue in that order in every partition.
                tasks.addImmediateTask {
                    do throws(LogError) {
                        let receipt = try await partition.append(
                            group.records, acknowledge: acknowledge)
                        return (group, .success(receipt))
                    } catch { return (group, .failure(error)) }
                }
            }
            var outcomes: [Outcome] = []
            for await outcome in tasks { outcomes.append(outcome) }
            return outcomes
        }
        var positions = [RecordPosition](
            repeating: RecordPosition(partition: 0, offset: 0), count: count)
        for (group, result) in outcomes {
            let receipt = try result.get()
            for (index, position) in zip(group.indices, receipt.positions) {
                positions[index] = position
            }
        }
        return Receipt(positions: positions)
    }
}
