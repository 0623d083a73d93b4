#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic alter`: changes a topic's settings.
struct TopicAlter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alter", abstract: "Change a topic's settings, and print all of them.",
        discussion: """
            The settings are those of docs/configuration.md. They hold for what is written from \
            now on, in all partitions, and are durable when the command ends; all of them change, \
            or none. The number of partitions is fixed.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name.") var topic: String
    @OptionGroup var settings: SettingsArgument
    @Option(
        name: .customLong("unset"),
        help: ArgumentHelp("A setting that goes back to its default.", valueName: "name"))
    var unset: [String] = []
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        guard !settings.settings.isEmpty || !unset.isEmpty else {
            throw ValidationError("expected --set name=value or --unset name")
        }
        let names = settings.names.map(String.init) + unset
        for name in Set(names) where names.count(where: { $0 == name }) > 1 {
            throw ValidationError("\(name): expected one --set or --unset of it, found several")
        }
        _ = try resets()
    }

    func run() async throws {
        let changes = try settings.changes() + resets()
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            try await database.alterTopic(topic) { configuration in
                for change in changes { change(&configuration) }
            }
            let altered = try await database.topic(named: topic).configuration.log
            if json {
                let object = JSON.object([
                    ("topic", .string(topic)), ("configuration", SettingsText.object(altered)),
                ])
                return try Output.standard.line(object.description)
            }
            for line in SettingsText.all(altered) { try Output.standard.line(line) }
        }
    }

    /// The changes back to defaults.
    private func resets() throws -> [LogConfiguration.Change] {
        try unset.map { name in
            do throws(LogError) { return try LogConfiguration.change(toDefault: name) } catch {
                throw ValidationError("--unset: \(error.message)")
            }
        }
    }
}

#endif
