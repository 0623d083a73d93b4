#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic append`: each line of standard input becomes a record.
struct TopicAppend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append", abstract: "Append standard input, one record a line.",
        discussion: """
            Lines that arrive while others are on their way to the medium go there together. With \
            --print-offsets, "partition offset" is printed for each line, in order, the moment its \
            record is acknowledged. Ctrl-C stops reading, and waits for what was read.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Flag(help: "Create the topic, and the database, where missing.") var create = false
    @Option(help: "With --create, how many partitions.") var partitions: Int?
    @Option(help: "What separates a key from its value; a line without it has no key.")
    var keySeparator: String?
    @Option(help: "When a record counts as acknowledged: durable, written or memory.")
    var acknowledge = Choice(Acknowledgement.durable)
    @Flag(help: "Print the partition and offset of each record.") var printOffsets = false

    func validate() throws {
        if let partitions {
            try PartitionCount.check(partitions)
            if !create { throw ValidationError("--partitions needs --create") }
        }
        if keySeparator == "" { throw ValidationError("--key-separator: expected some text") }
    }

    func run() async throws {
        let input = try StandardInput()
        try await DatabaseAccess.withDatabase(at: location.directory, creating: create) {
            database in
            let topic = try await openTopic(in: database)
            var pipeline = AppendPipeline(
                topic: topic, acknowledge: acknowledge.value, printsOffsets: printOffsets,
                stopReading: input.stop)
            do {
                while let lines = try await input.nextLines() {
                    try await pipeline.append(lines.map(record))
                }
            } catch {
                // What was read before the failure is not lost with it.
                try await pipeline.finish()
                throw error
            }
            try await pipeline.finish()
        }
    }

    private func openTopic(in database: Database) async throws -> Topic {
        guard create, !database.topicNames.contains(topic) else {
            let found = try await database.topic(named: topic)
            if let partitions, partitions != found.partitions.count {
                throw CommandError(
                    "the topic \(topic) exists with \(found.partitions.count) partitions; expected "
                        + "\(partitions)")
            }
            return found
        }
        return try await database.topic(topic, TopicConfiguration(partitions: partitions ?? 1))
    }

    private func record(_ line: [UInt8]) -> Record {
        guard let separator = keySeparator.map({ Array($0.utf8) }),
            let found = line.firstRange(of: separator)
        else { return Record(value: line) }
        return Record(
            key: Array(line[..<found.lowerBound]), value: Array(line[found.upperBound...]))
    }
}

#endif
