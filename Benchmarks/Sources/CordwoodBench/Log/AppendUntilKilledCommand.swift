import ArgumentParser
import Cordwood

/// The victim of ``LogReopening``: appends until it is killed.
struct AppendUntilKilledCommand: AsyncParsableCommand {
    static let name = "append-until-killed"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Option var directory: String
    @Option var recordBytes: Int
    @Option var batchRecords: Int
    @Option var producers: Int
    @Option(transform: named) var acknowledge: Acknowledgement

    func run() async throws {
        let load = LogLoad(
            recordBytes: recordBytes, recordsPerBatch: batchRecords, producers: producers,
            acknowledge: acknowledge)
        let log = try await LogUnderTest.open(at: directory)
        try await load.runForever(on: log) { Terminal.printLine("appending") }
    }
}
