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
        await database.recordGauges()
        #expect(try gauge("cordwood_segments") == 1 && gauge("cordwood_end_offset") == 10)
        #expect(try gauge("cordwood_log_bytes") == Double(orders[0].byteCount))
        #expect(try gauge("cordwood_read_only") == 0 && gauge("cordwood_poisoned") == 0)
        try await database.close()
    }

    @Test func trouble() async throws {
        let database = try await open()
        let orders = try await database.topic("orders")
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await #expect(throws: LogError.self) { _ = try await orders.append([Record("lost")]) }
        #expect(try gauge("cordwood_poisoned") == 1)
        #expect(lines.all.withLock { $0.contains { $0.0 == .critical && $0.1.contains("orders") } })
        await database.recordGauges()
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
