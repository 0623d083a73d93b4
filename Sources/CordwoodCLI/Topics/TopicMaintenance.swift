#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic trim`: gives up old records.
struct TopicTrim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trim", abstract: "Give up the records before an offset.",
        discussion: """
            The log's start moves there at once; files go when all of their records are given up. \
            It never goes back.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Option(help: "Only this partition; needed where there are several.") var partition: Int?
    @Option(help: "The first offset that is kept.") var before: Int64

    func validate() throws {
        if before < 0 { throw ValidationError("--before: expected 0 or more, found \(before)") }
    }

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let topic = try await database.topic(named: topic)
            if partition == nil, topic.partitions.count > 1 {
                throw CommandError(
                    "the topic \(topic.name) has \(topic.partitions.count) partitions, each with "
                        + "offsets of its own: name one with --partition")
            }
            let chosen = try PartitionChoice.partitions(of: topic, partition ?? 0)[0]
            let start = try await chosen.deleteRecords(before: before)
            try Output.standard.line("\(chosen.number) \(start)")
        }
    }
}

/// `cordwood topic compact`: a pass of compaction, now.
struct TopicCompact: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Compact a topic, where its configuration allows it.",
        discussion: """
            Keeps the latest record of each key in sealed segments, for topics whose cleanupPolicy \
            has compact. Prints the bytes that are left to compact.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Option(help: "Only this partition.") var partition: Int?

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let topic = try await database.topic(named: topic)
            for partition in try PartitionChoice.partitions(of: topic, partition) {
                let left = try await partition.compact()
                try Output.standard.line("\(partition.number) \(left)")
            }
        }
    }
}

/// `cordwood topic offsets`: where partitions begin and end.
struct TopicOffsets: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "offsets", abstract: "Print partitions' offsets: partition, start, end.")

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Option(help: "Only this partition.") var partition: Int?
    @Flag(help: "Print one JSON object a line.") var json = false

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let topic = try await database.topic(named: topic)
            for partition in try PartitionChoice.partitions(of: topic, partition) {
                let (start, end) = (partition.startOffset, partition.endOffset)
                try Output.standard.line(
                    json
                        ? JSON.object([
                            ("partition", .count(partition.number)),
                            ("startOffset", .integer(start)), ("endOffset", .integer(end)),
                        ]).description : "\(partition.number) \(start) \(end)")
            }
        }
    }
}

enum PartitionChoice {
    /// The partition of that number, or all; an error says which there are.
    static func partitions(of topic: Topic, _ number: Int?) throws -> [Partition] {
        guard let number else { return topic.partitions }
        guard topic.partitions.indices.contains(number) else {
            throw CommandError(
                "the topic \(topic.name) has no partition \(number): expected 0 to "
                    + "\(topic.partitions.count - 1)")
        }
        return [topic[number]]
    }
}

#endif
