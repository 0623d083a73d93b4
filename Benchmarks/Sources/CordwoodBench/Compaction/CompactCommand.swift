import ArgumentParser
import Cordwood
import Glibc
import Synchronization

/// `cordwood-bench compact`: how fast compaction goes beside a plain copy of the same bytes, and
/// what it does to appends.
///
/// The copy reads the segment files in order, 1 MiB at a time, writes them to other files and syncs
/// each: what no compaction that writes everything can beat. Compaction reads what is dirty twice
/// (for the map, and to rewrite it), checks every CRC, hashes each key twice and writes what stays;
/// small records are bound by the hashing and the map's cache misses, large ones by the disk.
struct CompactCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact", abstract: "Measure compaction against a plain copy.")

    @Option(help: "Where to put the log.") var directory = "."
    @Option(help: "Bytes of each value.") var recordBytes = 1024
    @Option(help: "Records in a batch.") var recordsPerBatch = 64
    @Option(help: "Megabytes of log.") var megabytes = 1024
    @Option(help: "Different keys for each 100 records: how much stays.") var keysPercent = 50
    @Option(help: "MiB a second that compaction may take during the appends; 0: no limit.")
    var budget = (CompactionOptions.background.maximumBytesPerSecond ?? 0) >> 20
    @Option(help: "Seconds of appends without compaction, and at most with it; 0: none.")
    var seconds = 5

    func validate() throws {
        guard recordBytes > 0, recordsPerBatch > 0, megabytes > 0, (1...100).contains(keysPercent)
        else { throw ValidationError("expected numbers above 0, and at most 100 percent") }
    }

    func run() async throws {
        let scratch = try ScratchDirectory(in: directory)
        let database = try await Database.open(at: scratch.path)
        var configuration = TopicConfiguration()
        configuration.log.cleanupPolicy = .compact
        configuration.log.segmentBytes = 128 << 20
        let partition = try await database.topic("bench", configuration)[0]
        try await fill(partition)
        try await scratch.settle()

        var line = JSONLine()
        line["record_bytes"] = .integer(recordBytes)
        line["keys_percent"] = .integer(keysPercent)
        let bytes = partition.byteCount
        line["log_mb"] = .integer(bytes / 1_000_000)
        let copied = try copy(scratch.path + "/topics/bench/0", to: scratch.path + "/copy")
        line["copy_mb_per_s"] = .number(Double(copied.bytes) / 1e6 / copied.seconds)
        try await scratch.settle()

        let processorBefore = Machine.processorSeconds
        let clock = ContinuousClock()
        let start = clock.now
        guard let report = try await partition.compact(force: true) else {
            throw BenchError("nothing was compacted")
        }
        let time = (clock.now - start) / .seconds(1)
        line["compact_mb_per_s"] = .number(Double(bytes) / 1e6 / time)
        line["ratio"] = .number(
            Double(bytes) / time / (Double(copied.bytes) / copied.seconds))
        line["written_mb"] = .integer(report.writtenBytes / 1_000_000)
        line["keys"] = .integer(report.keys)
        line["cpu_seconds_per_gb"] = .number(
            (Machine.processorSeconds - processorBefore) / (Double(bytes) / 1e9))
        if seconds > 0 { try await measureAppends(beside: partition, in: database, &line) }
        line.print()
        try await database.close()
    }

    /// Appends to another topic of the same database while the first is compacted.
    private func measureAppends(
        beside partition: Partition, in database: Database, _ line: inout JSONLine
    ) async throws {
        let topic = try await database.topic("appends")[0]
        let alone = try await latencies(topic, for: .seconds(seconds)) { false }
        try await fill(partition)
        var options = CompactionOptions()
        options.maximumBytesPerSecond = budget > 0 ? budget << 20 : nil
        let isDone = Flag()
        let pass = Task { [options] in
            defer { isDone.set() }
            _ = try await partition.compact(force: true, options: options)
        }
        let beside = try await latencies(topic, for: .seconds(seconds)) { isDone.isSet }
        pass.cancel()
        _ = await pass.result
        line["append_p50_us"] = .number(alone.median)
        line["append_p99_us"] = .number(alone.percentile(99))
        line["append_p50_during_us"] = .number(beside.median)
        line["append_p99_during_us"] = .number(beside.percentile(99))
        line["appends_during"] = .integer(beside.count)
    }

    /// One producer of durable 1 KiB appends, one after another, with a short pause between them.
    private func latencies(
        _ partition: Partition, for duration: Duration, until isDone: () -> Bool
    ) async throws -> Samples {
        let record = Record(key: [1], value: [UInt8](repeating: 7, count: 1024))
        let clock = ContinuousClock()
        let end = clock.now + duration
        var latencies: [Double] = []
        while clock.now < end, !isDone() {
            let start = clock.now
            _ = try await partition.append([record])
            latencies.append(start.duration(to: clock.now) / .microseconds(1))
            try await Task.sleep(for: .microseconds(500))
        }
        return Samples(latencies)
    }

    private func fill(_ partition: Partition) async throws {
        var generator = SplitMix64(seed: 1)
        let value = (0..<recordBytes).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let count = megabytes * 1_000_000 / (recordBytes + 30)
        let keys = max(1, count * keysPercent / 100)
        var number = 0
        while number < count {
            let records = (0..<min(recordsPerBatch, count - number)).map { _ in
                Record(
                    key: Array("key-\(generator.next() % UInt64(keys))".utf8), value: value)
            }
            number += records.count
            _ = try await partition.append(records, acknowledge: .written)
        }
    }

    /// Copies the segment files of a folder.
    private func copy(
        _ source: String, to target: String
    ) throws -> (bytes: Int, seconds: Double) {
        guard mkdir(target, 0o755) == 0 else { throw BenchError.system("mkdir", target) }
        guard let folder = opendir(source) else { throw BenchError.system("opendir", source) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".log") { names.append(name) }
        }
        var total = 0
        let clock = ContinuousClock()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        let time = try clock.measure {
            for name in names.sorted() {
                let from = open(source + "/" + name, O_RDONLY)
                let to = open(target + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
                defer {
                    close(from)
                    close(to)
                }
                guard from >= 0, to >= 0 else { throw BenchError.system("open", name) }
                while case let count = read(from, buffer.baseAddress, buffer.count), count > 0 {
                    guard write(to, buffer.baseAddress, count) == count else {
                        throw BenchError.system("write", name)
                    }
                    total += count
                }
                guard fdatasync(to) == 0 else { throw BenchError.system("fdatasync", name) }
            }
        }
        for name in names { unlink(target + "/" + name) }
        return (total, time / .seconds(1))
    }
}

/// Something that has happened or not.
private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
