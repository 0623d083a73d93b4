#if CommandLine
import ArgumentParser
import Cordwood

/// `--set name=value`, as often as needed: the settings of `docs/configuration.md`.
struct SettingsArgument: ParsableArguments {
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "A setting of the topic's logs, such as cleanupPolicy=compact.", valueName: "name=value"
        ))
    var settings: [String] = []

    func validate() throws { _ = try changes() }

    /// The names that are set, in order.
    var names: [Substring] { settings.map { $0.prefix { $0 != "=" } } }

    /// The changes that were asked for, in order.
    func changes() throws -> [LogConfiguration.Change] {
        try settings.map { setting in
            let parts = setting.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false
            ).map(String.init)
            guard parts.count == 2 else {
                throw ValidationError("--set: expected name=value, found \(setting)")
            }
            do throws(LogError) { return try LogConfiguration.change(parts[0], to: parts[1]) } catch
            {
                throw ValidationError("--set: \(error.message)")
            }
        }
    }
}

/// Settings as the command prints them.
enum SettingsText {
    /// All of them, `name=value`.
    static func all(_ configuration: LogConfiguration) -> [String] {
        configuration.settings.map { "\($0.name)=\($0.value)" }
    }

    /// Those that are not as they are by default.
    static func changed(_ configuration: LogConfiguration) -> [String] {
        let defaults = Set(all(LogConfiguration()))
        return all(configuration).filter { !defaults.contains($0) }
    }

    /// All of them, numbers as numbers; null is unlimited.
    static func object(_ configuration: LogConfiguration) -> JSON {
        .object(
            configuration.settings.map { name, value in
                if value == "unlimited" { return (name, .null) }
                if let number = Int64(value) { return (name, .integer(number)) }
                return (name, Double(value).map(JSON.number) ?? .string(value))
            })
    }
}

#endif
