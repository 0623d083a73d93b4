import ArgumentParser
import Cordwood

/// `cordwood-bench log-opening`: how long it takes to open a topic of many partitions, after a
/// close and after `kill -9`, and what memory it then holds.
struct LogOpeningCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-opening", abstract: "Open a log of many partitions or segments.")

    @Option(help: "Where to measure; a new directory is made in it and removed at the end.")
    var directory: String

    @OptionGroup var shape: LogShape

    @Option(help: "How often each kind of opening is measured.")
    var rounds = 3

    func validate() throws {
        guard rounds >= 1, shape.partitions >= 1, shape.megabytes >= 1 else {
            throw ValidationError("--rounds, --partitions and --megabytes: expected at least 1")
        }
    }

    func run() async throws {
        let scratch = try ScratchDirectory(in: directory)
        let needed = shape.megabytes * 1_000_000
        // What fills the last bytes of a disk is not measured: it disturbs everyone.
        guard Machine.freeBytes(at: scratch.path) > needed + needed / 4 + 5_000_000_000 else {
            throw BenchError("not enough space for \(shape.megabytes) MB and 5 GB to spare")
        }
        Terminal.note("filling \(shape.megabytes) MB")
        _ = try child(["--until", "closed"], in: scratch).finish("filling")
        var clean: [Double] = []
        var killed: [Double] = []
        var memory: [Double] = []
        var scanned: [Double] = []
        for _ in 0..<rounds {
            let opened = try await open(scratch)
            clean.append(opened.milliseconds)
            memory.append(opened.residentMegabytes)
            try await opened.database.close()
        }
        for _ in 0..<rounds {
            let victim = try child(["--until", "killed"], in: scratch)
            guard victim.waitForOutput() else {
                victim.kill()
                throw BenchError("the process that was to be killed ended before it appended")
            }
            try? await Task.sleep(for: .milliseconds(300))
            victim.kill()
            let opened = try await open(scratch)
            killed.append(opened.milliseconds)
            scanned.append(Double(opened.database.recovery.scannedBytes))
            try await opened.database.close()
        }
        var line = JSONLine()
        line["open_clean_ms"] = Samples(clean).json
        line["open_killed_ms"] = Samples(killed).json
        line["killed_scanned_bytes"] = Samples(scanned).json
        line["resident_mb"] = Samples(memory).json
        line["partitions"] = .integer(shape.partitions)
        line["megabytes"] = .integer(shape.megabytes)
        line["segment_bytes"] = .integer(shape.segmentBytes)
        line.print()
    }

    private func child(
        _ arguments: [String], in scratch: borrowing ScratchDirectory
    ) throws -> ChildProcess {
        try ChildProcess(
            [
                "/proc/self/exe", FillLogCommand.name, "--directory", "\(scratch.path)/log",
                "--partitions", "\(shape.partitions)", "--megabytes", "\(shape.megabytes)",
                "--segment-bytes", "\(shape.segmentBytes)",
            ] + arguments)
    }

    private struct Opened {
        var database: Database
        var milliseconds: Double
        var residentMegabytes: Double
    }

    private func open(_ scratch: borrowing ScratchDirectory) async throws -> Opened {
        let clock = ContinuousClock()
        let start = clock.now
        let database = try await Database.open(at: "\(scratch.path)/log")
        let topic = try await database.topic(named: LogShape.topic)
        _ = topic[0].endOffset
        let milliseconds = start.duration(to: clock.now) / .milliseconds(1)
        return Opened(
            database: database, milliseconds: milliseconds,
            residentMegabytes: Double(Machine.residentBytes) / 1e6)
    }
}

/// What a log looks like that is only opened.
struct LogShape: ParsableArguments {
    static let topic = "bench"

    @Option(help: "Partitions of the topic.")
    var partitions = 20

    @Option(help: "Megabytes in all partitions together.")
    var megabytes = 20_000

    @Option(help: "The size at which segments are sealed.")
    var segmentBytes = 1 << 30

    /// Batches of about a quarter of the largest that a segment takes, 256 KiB at most.
    var batchBytes: Int { min(256 << 10, (segmentBytes - 4096) / 4) }

    func configuration() -> TopicConfiguration {
        var log = LogConfiguration(segmentBytes: segmentBytes)
        log.maxMessageBytes = min(log.maxMessageBytes, segmentBytes - 4096)
        return TopicConfiguration(partitions: partitions, log: log)
    }
}

/// The child of ``LogOpeningCommand``: fills a log, and closes it or appends until it is killed.
struct FillLogCommand: AsyncParsableCommand {
    static let name = "fill-log"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Option var directory: String
    @OptionGroup var shape: LogShape
    @Option var until: String

    func run() async throws {
        let database = try await Database.open(at: directory)
        let topic = try await database.topic(LogShape.topic, shape.configuration())
        let record = Record(value: [UInt8](repeating: 7, count: shape.batchBytes - 256))
        let wanted = shape.megabytes * 1_000_000 / shape.partitions
        if until == "closed" {
            try await forEachPartition(topic) { partition in
                while partition.byteCount < wanted {
                    _ = try await partition.append([record], acknowledge: .written)
                }
            }
            try await database.close()
            return
        }
        // As a server at work: small durable appends to every partition.
        let small = Record(value: [UInt8](repeating: 7, count: 1024))
        for partition in topic.partitions { _ = try await partition.append([small]) }
        Terminal.printLine("appending")
        try await forEachPartition(topic) { partition in
            while true { _ = try await partition.append([small]) }
        }
    }

    private func forEachPartition(
        _ topic: Topic, _ body: @escaping @Sendable (Partition) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for partition in topic.partitions { group.addTask { try await body(partition) } }
            try await group.waitForAll()
        }
    }
}
