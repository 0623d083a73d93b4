#if Observability
public import CordwoodCache
public import CoreMetrics
import Synchronization

/// Reports what a cache has done to swift-metrics, under a name that the caller gives it.
///
/// Made once for a cache; then `record(_:)` from a timer. Counters grow by what came since the last call, so
/// that one of these must not be given the statistics of two caches. `docs/operating.md` lists the metrics.
public final class CacheMetrics: Sendable {
    private let factory: any MetricsFactory
    private let dimensions: [(String, String)]
    private let reported = Mutex<[String: Int]>([:])

    public init(_ name: String, metrics: any MetricsFactory = MetricsSystem.factory) {
        factory = metrics
        dimensions = [("cache", name)]
    }

    /// Of a cache.
    public func record(_ statistics: CacheStatistics) {
        count("cordwood_cache_hits_total", statistics.hits)
        count("cordwood_cache_misses_total", statistics.misses)
        count("cordwood_cache_evictions_total", statistics.evictions)
        count("cordwood_cache_expirations_total", statistics.expirations)
        count("cordwood_cache_invalidations_total", statistics.invalidations)
        count("cordwood_cache_loads_total", statistics.loads)
        count("cordwood_cache_load_failures_total", statistics.loadFailures)
        count("cordwood_cache_refreshes_total", statistics.refreshes)
        count("cordwood_cache_refused_fills_total", statistics.refusedFills)
        measure("cordwood_cache_entries", statistics.entryCount)
        measure("cordwood_cache_weight", statistics.weight)
    }

    /// Of a view, and of its cache.
    public func record(_ statistics: CachedViewStatistics) {
        record(statistics.memory)
        count("cordwood_view_source_loads_total", statistics.sourceLoads)
        count("cordwood_view_applied_records_total", statistics.appliedRecords)
        count("cordwood_view_resets_total", statistics.resets)
        measure("cordwood_view_pending_records", statistics.pendingRecords)
        count("cordwood_view_origin_failures_total", statistics.originFailures)
        count("cordwood_view_disk_hits_total", statistics.disk.hits)
        count("cordwood_view_disk_misses_total", statistics.disk.misses)
        measure("cordwood_view_disk_entries", statistics.disk.entryCount)
        measure("cordwood_view_disk_bytes", statistics.disk.byteCount)
        count("cordwood_view_disk_damaged_blocks_total", statistics.disk.damagedBlocks)
        count("cordwood_view_disk_write_failures_total", statistics.disk.writeFailures)
    }

    private func count(_ name: String, _ total: Int) {
        let new = reported.withLock { reported in
            defer { reported[name] = max(total, reported[name] ?? 0) }
            return max(0, total - (reported[name] ?? 0))
        }
        Counter(label: name, dimensions: dimensions, factory: factory).increment(by: Int64(new))
    }

    private func measure(_ name: String, _ value: Int) {
        Gauge(label: name, dimensions: dimensions, factory: factory).record(Int64(value))
    }
}
#endif
