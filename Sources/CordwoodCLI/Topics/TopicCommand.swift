#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic …`
struct TopicCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topic", abstract: "Append to, read, configure and check logs of records.",
        subcommands: [
            TopicCreate.self, TopicList.self, TopicDescribe.self, TopicAlter.self,
            TopicAppend.self, TopicRead.self, TopicOffsets.self, TopicTrim.self,
            TopicCompact.self, TopicInspect.self, TopicVerify.self,
        ])
}

/// What every command on a database takes first.
struct DirectoryArgument: ParsableArguments {
    @Argument(help: ArgumentHelp("The database's folder.", valueName: "dir"))
    var directory: String
}

struct TopicCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a topic, and the database where missing.")

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Option(help: "How many partitions, each a log of its own.") var partitions = 1
    @OptionGroup var settings: SettingsArgument

    func validate() throws { try PartitionCount.check(partitions) }

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory, creating: true) { database in
            guard !database.topicNames.contains(topic) else {
                throw CommandError("the topic \(topic) exists already in \(location.directory)")
            }
            var log = LogConfiguration()
            for change in try settings.changes() { change(&log) }
            _ = try await database.topic(
                topic, TopicConfiguration(partitions: partitions, log: log))
        }
    }
}

struct TopicList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the topics, one a line.")

    @OptionGroup var location: DirectoryArgument
    @Flag(help: "Print one JSON object a line.") var json = false

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            for name in database.topicNames.sorted() {
                let line = json ? JSON.object([("topic", .string(name))]).description : name
                try Output.standard.line(line)
            }
        }
    }
}

struct TopicDescribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show a topic's partitions, offsets and sizes, and its settings.",
        discussion: "Lists the settings that are not the defaults; --json, all of them.")

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let topic = try await database.topic(named: topic)
            if json { return try Output.standard.line(Self.object(topic).description) }
            try Output.standard.line(Self.table(topic).description)
            for line in SettingsText.changed(topic.configuration.log) {
                try Output.standard.line(line)
            }
        }
    }

    private static func object(_ topic: Topic) -> JSON {
        .object([
            ("topic", .string(topic.name)),
            (
                "partitions",
                .array(
                    topic.partitions.map { partition in
                        .object([
                            ("partition", .count(partition.number)),
                            ("startOffset", .integer(partition.startOffset)),
                            ("endOffset", .integer(partition.endOffset)),
                            ("durableOffset", .integer(partition.durableOffset)),
                            ("bytes", .count(partition.byteCount)),
                            ("segments", .count(partition.segmentCount)),
                        ])
                    })
            ),
            ("configuration", SettingsText.object(topic.configuration.log)),
        ])
    }

    private static func table(_ topic: Topic) -> Table {
        Table(
            headings: ["partition", "start", "end", "durable", "segments", "size"],
            rows: topic.partitions.map { partition in
                [
                    "\(partition.number)", "\(partition.startOffset)", "\(partition.endOffset)",
                    "\(partition.durableOffset)", "\(partition.segmentCount)",
                    Figures.bytes(partition.byteCount),
                ]
            })
    }
}

enum PartitionCount {
    /// More than this in one folder is taken for a slip of the hand.
    static let maximum = 1024

    static func check(_ count: Int) throws {
        guard (1...maximum) ~= count else {
            throw ValidationError("--partitions: expected 1 to \(maximum), found \(count)")
        }
    }
}

#endif
