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
            for name in topic.map({ [$0] }) ?? database.topicNames.sorted() {
                let report = try await Self.report(ofTopic: name, in: database)
                isSound = try show(report, "topic", name) && isSound
            }
            for name in topic == nil ? database.collectionNames.sorted() : [] {
                let report = try await Self.report(ofCollection: name, in: database)
                isSound = try show(report, "collection", name) && isSound
            }
            guard isSound else {
                try Output.standard.flush()
                throw CommandError(
                    "damage was found in \(location.directory)", status: ExitStatus.damageFound)
            }
        }
    }

    private static func report(
        ofTopic name: String, in database: Database
    ) async throws -> VerificationReport {
        do {
            return try await database.topic(named: name).verify()
        } catch {
            return try damage(from: error)
        }
    }

    private static func report(
        ofCollection name: String, in database: Database
    ) async throws -> VerificationReport {
        do {
            return try await database.collection(named: name).verify()
        } catch {
            return try damage(from: error)
        }
    }

    /// What is too damaged to be opened is no less damaged for that; other errors are thrown on.
    private static func damage(from error: any Error) throws -> VerificationReport {
        let cause = (error as? DatabaseError)?.cause ?? error
        guard let cause = cause as? LogError, cause.code == .damaged else { throw error }
        var report = VerificationReport()
        report.damage = [Damage(path: "cannot be opened", offsets: 0..<0, problem: cause.message)]
        return report
    }

    /// Prints a report; true when it is sound.
    private func show(
        _ report: VerificationReport, _ kind: String, _ name: String
    ) throws -> Bool {
        if json {
            try Output.standard.line(Self.object(report, kind, name).description)
            return report.isSound
        }
        var line = "\(kind) \(name): \(report.isSound ? "every checksum holds" : "DAMAGED")"
        if report.segments > 0 {
            line +=
                "; \(Figures.count(report.records, "record")) in "
                + "\(Figures.count(report.batches, "batch", "batches")) and "
                + "\(Figures.count(report.segments, "segment")), \(Figures.bytes(report.bytes))"
        }
        try Output.standard.line(line)
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
