import ArgumentParser
import Cordwood

/// `cordwood-bench log`: append, read and reopen, in a directory of its own below `--directory`.
struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Append, read and reopen a log.")

    @Option(help: "Where to measure; a new directory is made in it and removed at the end.")
    var directory: String

    @Option(help: "Bytes of each record's value.")
    var recordBytes = 1024

    @Option(help: "Bytes of records in each append; at least one record.")
    var batchBytes = 65_536

    @Option(help: "Tasks that append, each waiting for its acknowledgement before it goes on.")
    var producers = 8

    @Flag(help: "Producers run on the database's own thread.")
    var onDatabaseThread = false

    @Option(help: "When an append returns: durable, written or memory.", transform: named)
    var acknowledge = Acknowledgement.durable

    @Option(help: "How long to append in each round.")
    var seconds = 10

    @Option(help: "Appending rounds; figures are medians. By default one, with --fio three.")
    var rounds: Int?

    @Flag(help: "Only append: no reading, no reopening.")
    var appendOnly = false

    @Flag(help: "Measure the disk with fio between the rounds, in the same directory.")
    var fio = false

    @Option(help: "Bytes that fio writes at a time; by default as many as Cordwood's groups had.")
    var fioBytes: Int?

    private var load: LogLoad {
        LogLoad(
            recordBytes: recordBytes, recordsPerBatch: max(1, batchBytes / max(1, recordBytes)),
            producers: producers, acknowledge: acknowledge, onDatabaseThread: onDatabaseThread)
    }

    func validate() throws {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
            guard range.contains(value) else {
                throw ValidationError(
                    "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        try check("--record-bytes", recordBytes, 1...1_000_000)
        try check("--batch-bytes", batchBytes, 1...1 << 26)
        if let fioBytes { try check("--fio-bytes", fioBytes, 1...1 << 30) }
        try check("--producers", producers, 1...10_000)
        try check("--seconds", seconds, 1...86_400)
        if let rounds { try check("--rounds", rounds, 1...100) }
    }

    func run() async throws {
        let scratch = try ScratchDirectory(in: directory)
        var line = JSONLine()
        let fileSystem = Machine.fileSystem(at: scratch.path)
        if acknowledge == .durable, fileSystem == "tmpfs" {
            // Memory that is synced to nowhere says nothing about durability.
            LogReport.refuse(&line, fileSystem)
        } else {
            try await measure(in: scratch, &line)
        }
        LogReport.describe(&line, self, fileSystem: fileSystem)
        line.print()
    }

    private func measure(in scratch: borrowing ScratchDirectory, _ line: inout JSONLine)
        async throws
    {
        let rounds = try await appendRounds(in: scratch)
        LogReport.describe(&line, appending: rounds.map(\.load))
        LogReport.describe(&line, comparing: rounds)

        if appendOnly { return }
        let last = "\(scratch.path)/round-\(rounds.count - 1)"
        try scratch.dropPageCache()
        let clean = try await LogReopening.open(last)
        let cold = try await LogReading.megabytesPerSecond(clean.log)
        let warm = try await LogReading.megabytesPerSecond(clean.log)
        try await clean.log.close()
        let again = try await LogReopening.open(last)
        try await again.log.close()
        let killed = try await LogReopening.openAfterKill(last, load, appending: .seconds(1))
        LogReport.describe(&line, cold: cold, warm: warm, clean: again, killed: killed)
        try await killed.log.close()
    }

    /// One round of appending and, with `--fio`, of the disk alone.
    struct Round {
        var load: LogLoad.Result
        var ioPath: String
        var fresh: Double?
        /// The 99th percentile of one sync of the disk alone.
        var freshSyncMicroseconds: Double?
        var overwrite: Double?
    }

    private func appendRounds(in scratch: borrowing ScratchDirectory) async throws -> [Round] {
        var result: [Round] = []
        for number in 0..<(rounds ?? (fio ? 3 : 1)) {
            Terminal.note("appending, round \(number + 1)")
            try await scratch.settle()
            let log = try await LogUnderTest.open(at: "\(scratch.path)/round-\(number)")
            // Not measured: the first allocations, the growth of the file's first extents.
            _ = try await load.run(on: log, for: .milliseconds(500))
            let appended = try await load.run(on: log, for: .seconds(seconds))
            try await log.close()
            var round = Round(load: appended, ioPath: log.ioPath)
            if fio {
                let baseline = FioBaseline(
                    directory: scratch.path, name: "fio-\(number)",
                    blockBytes: fioBytes ?? Int(appended.bytesPerGroup),
                    syncs: acknowledge == .durable, seconds: seconds)
                try await scratch.settle()
                let fresh = try baseline.run(.fresh)
                round.fresh = fresh.megabytesPerSecond
                round.freshSyncMicroseconds = fresh.syncMicroseconds
                try await scratch.settle()
                round.overwrite = try baseline.run(.overwrite).megabytesPerSecond
            }
            result.append(round)
        }
        return result
    }
}
