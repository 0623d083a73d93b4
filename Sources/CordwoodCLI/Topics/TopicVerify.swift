#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic verify`: reads every byte back and checks every checksum.
struct TopicVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read everything back and check every checksum.",
        discussion: """
            Without a topic, checks every topic and every collection. Exit status: 0 when every \
            checksum holds, 2 when one does not, 1 when something could not be read.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name; all topics and collections when none is given.")
    var topic: String?
    @Flag(help: "Print one JSON object for each topic and collection.") var json = false

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            var isSound = true
            for topic in try await topics(of: database) {
                isSound = try show(try await topic.verify(), "topic", topic.name) && isSound
            }
            for name in topic == nil ? database.collectionNames.sorted() : [] {
                let collection = try await database.collection(named: name)
                isSound = try show(try await collection.verify(), "collection", name) && isSound
            }
            guard isSound else {
                try Output.standard.flush()
                throw CommandError(
                    "damage was found in \(location.directory)", status: ExitStatus.damageFound)
            }
        }
    }

    private func topics(of database: Database) async throws -> [Topic] {
        var topics: [Topic] = []
        for name in topic.map({ [$0] }) ?? database.topicNames.sorted() {
            topics.append(try await database.topic(named: name))
        }
        return topics
    }

    /// Prints a report; true when it is sound.
    private func show(
        _ report: VerificationReport, _ kind: String, _ name: String
    ) throws -> Bool {
        if json {
            try Output.standard.line(Self.object(report, kind, name).description)
            return report.isSound
        }
        try Output.standard.line(
            "\(kind) \(name): \(report.isSound ? "every checksum holds" : "DAMAGED"); "
                + "\(Figures.count(report.records)) records in \(Figures.count(report.batches)) "
                + "batches and \(report.segments) segments, \(Figures.bytes(report.bytes))")
        for damage in report.damage { try Output.standard.line("  \(damage)") }
        return report.isSound
    }

    private static func object(
        _ report: VerificationReport, _ kind: String, _ name: String
    ) -> JSON {
        .object([
            (kind, .string(name)), ("isSound", .boolean(report.isSound)),
            ("records", .count(report.records)), ("batches", .count(report.batches)),
            ("segments", .count(report.segments)), ("bytes", .count(report.bytes)),
            ("damage", .array(report.damage.map { .string("\($0)") })),
        ])
    }
}

#endif
