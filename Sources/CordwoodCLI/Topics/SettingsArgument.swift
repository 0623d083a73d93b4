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

    func validate() throws { _ = try applied(to: LogConfiguration()) }

    /// A configuration with these settings.
    func applied(to configuration: LogConfiguration) throws -> LogConfiguration {
        var configuration = configuration
        for setting in settings {
            let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw ValidationError("--set: expected name=value, found \(setting)")
            }
            do { try configuration.set(parts[0], to: parts[1]) } catch {
                throw ValidationError("--set: \(error.message)")
            }
        }
        return configuration
    }
}

#endif
