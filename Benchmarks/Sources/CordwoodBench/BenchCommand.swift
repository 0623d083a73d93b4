import ArgumentParser

/// Measures Cordwood; every subcommand prints one JSON object a line.
@main
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cordwood-bench",
        abstract: "Measures Cordwood. Prints one JSON object a line.",
        subcommands: [
            LogCommand.self, RecordsCommand.self, CompactCommand.self, VectorsCommand.self,
            ChecksumCommand.self, CacheCommand.self, CausalityCommand.self, LogOpeningCommand.self,
            AppendUntilKilledCommand.self,
            FillLogCommand.self,
        ])
}
