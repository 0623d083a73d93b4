#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic verify`: reads every byte back and checks every checksum.
struct TopicVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read everything back and check every checksum.",
        discussion: """
            Reads the files alone: takes no lock, changes nothing, and works while another process \
            has the database open. Without a topic, checks every topic and every collection. What \
            a crash tore and the next opening cuts is no damage. Exit status: 0 when every \
            checksum holds, 2 when one does not, 1 when something could not be read.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name; all topics and collections when none is given.")
    var topic: String?
    @Flag(help: "Print one JSON object for each topic and collection.") var json = false

    func run() async throws {
        let isSound = try await DatabaseAccess.withFiles(at: location.directory) { database in
            var isSound = database.catalogDamage.isEmpty
            var catalog = VerificationReport()
            catalog.damage = database.catalogDamage
            if !isSound { _ = try show(catalog, "catalog", "CORDWOOD") }
            let places = try database.places(topic: topic)
            var next = places.startIndex
            while next < places.endIndex {
                // The partitions of one topic lie side by side.
                let first = places[next]
                var report = VerificationReport()
                while next < places.endIndex, places[next].kind == first.kind,
                    places[next].name == first.name
                {
                    report =
                        report
                        + (try await database.inspect(places[next], .verification) { _ in })
                    next += 1
                }
                isSound = try show(report, first.kind, first.name) && isSound
            }
            return isSound
        }
        if !isSound { throw DamageFound.error(in: location.directory) }
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

/// How a command that looked at files ends when they are not sound.
enum DamageFound {
    static func error(in directory: String) -> CommandError {
        CommandError("damage was found in \(directory)", status: ExitStatus.damageFound)
    }
}

#endif
