#if Observability
import Cordwood
import CordwoodSimulation
import CordwoodStorage
import Logging
import MetricsTestKit
import Synchronization
import Testing

@Suite struct ObservabilityTests {
    /// Keeps what is logged.
    private struct Recording: LogHandler {
        final class Lines: Sendable {
            let all = Mutex<[(Logger.Level, String)]>([])
        }

        var lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.all.withLock { $0.append((event.level, "\(event.message)")) }
        }
    }

    private let storage = SimulatedStorage(seed: 1)
    private let metrics = TestMetrics()
    private let lines = Recording.Lines()
    private let dimensions = [("kind", "topic"), ("name", "orders"), ("partition", "0")]

    private func open() async throws -> Database {
        let database = try await Database.open(on: storage)
        let lines = lines
        await database.observe(
            logger: Logger(label: "test") { _ in Recording(lines: lines) }, metrics: metrics)
        return database
    }

    private func gauge(_ name: String) throws -> Double? {
        try metrics.expectGauge(name, dimensions).lastValue
    }

    @Test func appendsAndGroupsAreCounted() async throws {
        let database = try await open()
        let orders = try await database.topic("orders")
        for number in 0..<5 {
            _ = try await orders.append(
                [Record("a \(number)"), Record("b")],
                acknowledge: number == 0 ? .written : .durable)
        }
        #expect(
            try metrics.expectTimer("cordwood_append_seconds", dimensions).values.count == 5)
        #expect(try metrics.expectTimer("cordwood_sync_seconds", dimensions).values.count == 4)
        #expect(try metrics.expectTimer("cordwood_write_seconds", dimensions).values.count == 1)
        #expect(
            try metrics.expectCounter("cordwood_appended_records_total", dimensions).totalValue
                == 10)
        let bytes = try metrics.expectCounter("cordwood_appended_bytes_total", dimensions)
        #expect(bytes.totalValue == Int64(orders.statistics.appendedBytes))
        let recovery = try metrics.expectTimer("cordwood_recovery_seconds", dimensions)
        #expect(recovery.values.count == 1)
        try await database.recordGauges()
        #expect(try gauge("cordwood_segments") == 1 && gauge("cordwood_end_offset") == 10)
        #expect(try gauge("cordwood_log_bytes") == Double(orders[0].byteCount))
        #expect(try gauge("cordwood_read_only") == 0 && gauge("cordwood_poisoned") == 0)
        try await database.close()
    }

    /// Deleting, compacting, and how far consumers are behind.
    @Test func maintenanceAndLag() async throws {
        let database = try await open()
        var configuration = LogConfiguration(segmentBytes: 6000, maxMessageBytes: 1000)
        configuration.cleanupPolicy = [.compact, .delete]
        let orders = try await database.topic("orders", .init(partitions: 2, log: configuration))
        for number in 0..<40 {
            _ = try await orders[0].append(
                [Record(key: [UInt8(number % 3)], value: [UInt8](repeating: 1, count: 300))])
        }
        try await database.recordGauges()
        let cleanable = try gauge("cordwood_cleanable_bytes")
        #expect(try #require(cleanable) > 6000)
        _ = try await orders[0].compact(force: true)
        let passes = try metrics.expectTimer("cordwood_compaction_seconds", dimensions)
        #expect(passes.values.count == 1)
        let read = try metrics.expectCounter("cordwood_compacted_bytes_total", dimensions)
        #expect(read.totalValue == Int64(orders[0].statistics.compactedBytes))
        let before = orders[0].segmentCount
        _ = try await orders[0].append([Record(key: [9], value: [1])])
        _ = try await orders[0].deleteRecords(before: orders[0].endOffset - 1)
        let deleted = try metrics.expectCounter("cordwood_deleted_segments_total", dimensions)
        #expect(deleted.totalValue == Int64(before - orders[0].segmentCount))
        #expect(deleted.totalValue > 0)
        // No group, no gauge; then one that has come to one partition's start only.
        let group = try await database.consumerGroup("shop")
        try await group.commit([TopicPartition("orders", 0): CommittedOffset(0)])
        try await database.recordGauges()
        let lag = try metrics.expectGauge(
            "cordwood_group_lag_records",
            [("group", "shop"), ("topic", "orders"), ("partition", "0")])
        #expect(lag.lastValue == 1)
        #expect(throws: (any Error).self) {
            try metrics.expectGauge(
                "cordwood_group_lag_records",
                [("group", "shop"), ("topic", "orders"), ("partition", "1")])
        }
        try await database.close()
    }

    @Test func collectionsAreMeasured() async throws {
        let database = try await open()
        let points = try await database.collection("points", PointModel.configuration())
        let dimensions = [("kind", "collection"), ("name", "points"), ("partition", "0")]
        try await points.upsert(
            (0..<30).map { Point(id: $0, vector: [1, 2, 3, 4, 5, Float($0)]) })
        try await points.seal()
        try await points.upsert([Point(id: 99, vector: [1, 2, 3, 4, 5, 6])])
        _ = try await points.search(batch: [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7])
        _ = try await points.search([1, 2, 3, 4, 5, 6], within: 1)
        try await database.recordGauges()
        func counted(_ name: String) throws -> Int64 {
            try metrics.expectCounter(name, dimensions).totalValue
        }
        func measured(_ name: String) throws -> Double? {
            try metrics.expectGauge(name, dimensions).lastValue
        }
        #expect(try counted("cordwood_queries_total") == 3)
        #expect(try counted("cordwood_sealed_points_total") == 30)
        #expect(try counted("cordwood_seal_failures_total") == 0)
        #expect(try counted("cordwood_rebuilt_segments_total") == 0)
        let (search, seal) = (
            try metrics.expectTimer("cordwood_search_seconds", dimensions),
            try metrics.expectTimer("cordwood_seal_seconds", dimensions)
        )
        #expect(search.values.count == 2 && seal.values.count == 1)
        #expect(try measured("cordwood_points") == 31 && measured("cordwood_head_points") == 1)
        #expect(try measured("cordwood_index_segments") == 1)
        #expect(try measured("cordwood_damaged_segments") == 0)
        #expect(try measured("cordwood_waiting_upserts") == 0)
        #expect(
            try measured("cordwood_index_bytes") == Double(await points.bytesInMemory()))
        try await database.close()
    }

    /// Logs that were open before are told of, too, with what opening them found.
    @Test func logsThatAreOpenAreObserved() async throws {
        let database = try await Database.open(on: storage)
        let orders = try await database.topic("orders")
        let lines = lines
        await database.observe(
            logger: Logger(label: "test") { _ in Recording(lines: lines) }, metrics: metrics)
        let recovery = try metrics.expectTimer("cordwood_recovery_seconds", dimensions)
        #expect(recovery.values.count == 1)
        _ = try await orders.append([Record("a")])
        #expect(
            try metrics.expectTimer("cordwood_append_seconds", dimensions).values.count == 1)
        try await database.close()
    }

    /// Each thing that happens is told once, whatever fails behind it.
    @Test func eachEventIsToldOnce() async throws {
        let database = try await open()
        let orders = try await database.topic("orders")
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        for _ in 0..<3 {
            await #expect(throws: LogError.self) { _ = try await orders.append([Record("lost")]) }
        }
        _ = try await database.maintain()
        try? await database.close()
        #expect(lines.all.withLock { $0.count { $0.0 == .critical } } == 1)
    }

    @Test func trouble() async throws {
        let database = try await open()
        let orders = try await database.topic("orders")
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await #expect(throws: LogError.self) { _ = try await orders.append([Record("lost")]) }
        #expect(try gauge("cordwood_poisoned") == 1)
        #expect(lines.all.withLock { $0.contains { $0.0 == .critical && $0.1.contains("orders") } })
        try await database.recordGauges()
        #expect(try gauge("cordwood_poisoned") == 1)
    }

    @Test func aFullDiskIsToldAndItsEnd() async throws {
        let database = try await open()
        let orders = try await database.topic("orders")
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        await #expect(throws: LogError.self) { _ = try await orders.append([Record("refused")]) }
        #expect(lines.all.withLock { $0.contains { $0.0 == .error && $0.1.contains("read-only") } })
        // The disk has space again, and the log finds out by itself.
        while orders[0].health != .writable { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try gauge("cordwood_read_only") == 0)
        #expect(lines.all.withLock { $0.contains { $0.0 == .notice && $0.1.contains("resume") } })
        _ = try await orders.append([Record("taken")])
        try await database.close()
    }
}
#endif
