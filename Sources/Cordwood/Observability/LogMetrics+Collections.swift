#if Observability
import CoreMetrics

/// The instruments of a collection, whose log has the others.
extension LogMetrics {
    func collectionObserver() -> CollectionObserver {
        let (search, seal) = (timer("cordwood_search_seconds"), timer("cordwood_seal_seconds"))
        let (queries, sealed) = (
            counter("cordwood_queries_total"), counter("cordwood_sealed_points_total")
        )
        let (rebuilt, failures) = (
            counter("cordwood_rebuilt_segments_total"), counter("cordwood_seal_failures_total")
        )
        return CollectionObserver(
            searched: {
                search.recordNanoseconds($1.nanoseconds)
                queries.increment(by: Int64($0))
            },
            sealed: {
                seal.recordNanoseconds($1.nanoseconds)
                sealed.increment(by: Int64($0))
            },
            rebuilt: { rebuilt.increment(by: Int64($0)) },
            sealingFailed: { _ in failures.increment() })
    }

    func measured(_ gauges: CollectionGauges) {
        state("cordwood_points").record(Int64(gauges.points))
        state("cordwood_head_points").record(Int64(gauges.headPoints))
        state("cordwood_index_segments").record(Int64(gauges.segments))
        state("cordwood_damaged_segments").record(Int64(gauges.damagedSegments))
        state("cordwood_index_bytes").record(Int64(gauges.bytesInMemory))
        state("cordwood_waiting_upserts").record(Int64(gauges.waitingUpserts))
    }
}
#endif
