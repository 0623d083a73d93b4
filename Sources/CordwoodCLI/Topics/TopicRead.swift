#if CommandLine
import ArgumentParser
import Cordwood
import Synchronization

/// `cordwood topic read`: the values of records, one a line.
struct TopicRead: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read", abstract: "Print records, one value a line.",
        discussion: """
            Reads one partition after another, each from its first record to its end; with \
            --follow, all at once, and waits for more until Ctrl-C. One process at a time has a \
            database open. A record without a value prints as an empty line; --json tells them \
            apart.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @Option(help: "Read only this partition.") var partition: Int?
    @Option(help: "The first offset to read, in each partition.") var from: Int64?
    @Option(help: "Stop after this many records.") var limit: Int?
    @Flag(help: "Wait for records to come.") var follow = false
    @Flag(help: "Print one JSON object a record, with its offset, key and headers.")
    var json = false

    func validate() throws {
        if let from, from < 0 { throw ValidationError("--from: expected 0 or more, found \(from)") }
        if let limit, limit < 0 {
            throw ValidationError("--limit: expected 0 or more, found \(limit)")
        }
    }

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let topic = try await database.topic(named: topic)
            let printer = RecordPrinter(limit: limit, asJSON: json, isFollowing: follow)
            let partitions = try PartitionChoice.partitions(of: topic, partition)
            for partition in partitions { try checkStart(in: partition) }
            if follow {
                try await followAll(partitions, printer)
            } else {
                for partition in partitions { try await print(partition, printer) }
            }
        }
    }

    /// An offset that was never written is a mistake when one partition is named; when all are
    /// read, some are shorter than others.
    private func checkStart(in partition: Partition) throws {
        guard let from, self.partition != nil, from > partition.endOffset else { return }
        throw CommandError(
            "partition \(partition.number) of the topic \(topic) has no offset \(from) yet: "
                + "expected \(partition.startOffset) to \(partition.endOffset)")
    }

    private func followAll(_ partitions: [Partition], _ printer: RecordPrinter) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for partition in partitions {
                group.addTask { try await print(partition, printer) }
            }
            // The first to reach the limit, or to fail, ends all.
            try await group.next()
            group.cancelAll()
        }
    }

    private func print(_ partition: Partition, _ printer: RecordPrinter) async throws {
        let start = max(from ?? 0, partition.startOffset)
        guard follow || start < partition.endOffset else { return }
        for try await record in partition.records(from: start, following: follow) {
            guard try printer.print(record, of: partition) else { return }
            try Task.checkCancellation()
        }
    }
}

/// Prints records up to a limit that all partitions share.
private final class RecordPrinter: Sendable {
    private let remaining: Mutex<Int>
    private let asJSON: Bool
    private let isFollowing: Bool

    init(limit: Int?, asJSON: Bool, isFollowing: Bool) {
        remaining = Mutex(limit ?? .max)
        self.asJSON = asJSON
        self.isFollowing = isFollowing
    }

    /// Prints a record; false when the limit was reached before it.
    func print(_ record: StoredRecord, of partition: Partition) throws -> Bool {
        let isWanted = remaining.withLock { remaining in
            guard remaining > 0 else { return false }
            remaining -= 1
            return true
        }
        guard isWanted else { return false }
        if asJSON {
            try Output.standard.line(Self.object(record, partition.number).utf8)
        } else {
            try Output.standard.line(record.value ?? [])
        }
        // A follower's reader sees the newest record at once; before that, a buffer at a time.
        if isFollowing, record.offset + 1 >= partition.endOffset { try Output.standard.flush() }
        return remaining.withLock { $0 > 0 }
    }

    private static func object(_ record: StoredRecord, _ partition: Int) -> JSON {
        var members: [(String, JSON)] = [
            ("partition", .count(partition)), ("offset", .integer(record.offset)),
            ("timestamp", .integer(record.timestamp)),
        ]
        members += bytes("key", record.key) + bytes("value", record.value)
        members.append(
            (
                "headers",
                .array(
                    record.headers.map { header in
                        .object([("key", .string(header.key))] + bytes("value", header.value))
                    })
            ))
        return .object(members)
    }

    /// Bytes that are no UTF-8 stand under a name that says so.
    private static func bytes(_ name: String, _ bytes: [UInt8]?) -> [(String, JSON)] {
        let text = JSON.text(bytes)
        if case .null = text, let bytes { return [("\(name)Base64", JSON.base64(bytes))] }
        return [(name, text)]
    }
}

#endif
