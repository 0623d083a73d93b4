#if Observability
import Cordwood
import CordwoodCache
import CordwoodSimulation
import MetricsTestKit
import Testing

@Suite struct CacheMetricsTests {
    private let metrics = TestMetrics()
    private let dimensions = [("cache", "pages")]

    private func total(_ name: String) throws -> Int64 {
        try metrics.expectCounter(name, dimensions).totalValue
    }

    private func gauge(_ name: String) throws -> Double? {
        try metrics.expectGauge(name, dimensions).lastValue
    }

    @Test func aCacheIsReported() async throws {
        let cache = try Cache<Int, Int>(CacheConfiguration(capacity: 10))
        let reporter = CacheMetrics("pages", metrics: metrics)
        for round in 1...3 {
            for key in 0..<20 { _ = try await cache.value(for: key) { $0 } }
            cache.invalidate(19)
            reporter.record(cache.statistics)
            let statistics = cache.statistics
            #expect(try total("cordwood_cache_misses_total") == Int64(statistics.misses))
            #expect(try total("cordwood_cache_loads_total") == Int64(statistics.loads))
            #expect(try total("cordwood_cache_evictions_total") == Int64(statistics.evictions))
            #expect(try total("cordwood_cache_invalidations_total") == Int64(round))
            #expect(try gauge("cordwood_cache_entries") == Double(statistics.entryCount))
            #expect(statistics.entryCount == 9)
        }
    }

    @Test func aViewIsReported() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("pages")
        let view = try await topic.cachedView(.init(capacityBytes: 1 << 20))
        let receipt = try await topic.append([Record("1", key: "a"), Record("2", key: "b")])
        for _ in 0..<3 {
            #expect(try await view.value(for: Array("a".utf8), atLeast: receipt).text == "1")
        }
        CacheMetrics("pages", metrics: metrics).record(view.statistics)
        #expect(try total("cordwood_view_applied_records_total") == 2)
        #expect(try total("cordwood_view_source_loads_total") == 1)
        #expect(try total("cordwood_cache_hits_total") == 2)
        #expect(try gauge("cordwood_view_pending_records") == 0)
        await view.close()
        try await database.close()
    }
}
#endif
