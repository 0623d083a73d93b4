#if Observability
public import CoreMetrics
import CordwoodLog
public import Logging

extension Database {
    /// Reports to swift-log and swift-metrics from now on. Called once, right after
    /// ``open(at:_:)``; see ``observe(_:)``.
    ///
    /// `docs/operating.md` lists the metrics, with their units, and the messages.
    public func observe(
        logger: Logger, metrics: any MetricsFactory = MetricsSystem.factory
    ) async {
        await observe(.reporting(to: logger, metrics))
    }
}

extension DatabaseObserver {
    fileprivate static func reporting(
        to logger: Logger, _ factory: any MetricsFactory
    ) -> DatabaseObserver {
        DatabaseObserver(
            observer: { LogMetrics($0, factory).observer(logger) },
            opened: { place, report, duration in
                LogMetrics(place, factory).opened(report, duration)
                let level: Logger.Level =
                    !report.quarantined.isEmpty ? .error : report.cutBytes > 0 ? .notice : .debug
                logger.log(
                    level: level, "opened a log: \(report)", metadata: LogMetrics.metadata(place))
            },
            measured: { LogMetrics($0, factory).measured($1) },
            lagged: { lag in
                Gauge(
                    label: "cordwood_group_lag_records",
                    dimensions: [
                        ("group", lag.group), ("topic", lag.place.topic),
                        ("partition", "\(lag.place.partition)"),
                    ], factory: factory
                ).record(lag.records)
            },
            noted: { place, note in
                logger.warning("\(note)", metadata: LogMetrics.metadata(place))
            },
            collection: { LogMetrics($0, factory).collectionObserver() },
            collectionMeasured: { LogMetrics($0, factory).measured($1) })
    }
}

/// The instruments of one log, made once: recording into them allocates nothing of ours.
struct LogMetrics: Sendable {
    private let place: DatabaseObserver.Place
    private let factory: any MetricsFactory
    private let dimensions: [(String, String)]

    init(_ place: DatabaseObserver.Place, _ factory: any MetricsFactory) {
        self.place = place
        self.factory = factory
        dimensions = [
            ("kind", place.kind), ("name", place.name), ("partition", "\(place.partition)"),
        ]
    }

    static func metadata(_ place: DatabaseObserver.Place) -> Logger.Metadata {
        [
            "\(place.kind)": .string(place.name), "partition": .string("\(place.partition)"),
        ]
    }

    func timer(_ name: String) -> CoreMetrics.Timer {
        CoreMetrics.Timer(
            label: name, dimensions: dimensions, preferredDisplayUnit: .seconds, factory: factory)
    }

    func counter(_ name: String) -> Counter {
        Counter(label: name, dimensions: dimensions, factory: factory)
    }

    func recorder(_ name: String) -> Recorder {
        Recorder(label: name, dimensions: dimensions, factory: factory)
    }

    func observer(_ logger: Logger) -> LogObserver {
        let append = timer("cordwood_append_seconds")
        let (write, sync) = (timer("cordwood_write_seconds"), timer("cordwood_sync_seconds"))
        let (groupBytes, groupBatches) = (
            recorder("cordwood_group_bytes"), recorder("cordwood_group_batches")
        )
        let (bytes, records) = (
            counter("cordwood_appended_bytes_total"), counter("cordwood_appended_records_total")
        )
        let rolls = counter("cordwood_rolls_total")
        let deletions = counter("cordwood_deleted_segments_total")
        let (compaction, compacted, failures) = (
            timer("cordwood_compaction_seconds"), counter("cordwood_compacted_bytes_total"),
            counter("cordwood_compaction_failures_total")
        )
        let metadata = Self.metadata(place)
        return LogObserver(
            appended: { append.recordNanoseconds($0.nanoseconds) },
            committed: { group in
                (group.isSynced ? sync : write).recordNanoseconds(group.duration.nanoseconds)
                groupBytes.record(Int64(group.bytes))
                groupBatches.record(Int64(group.batches))
                bytes.increment(by: Int64(group.bytes))
                records.increment(by: Int64(group.records))
            },
            happened: { event in
                switch event {
                case .rolled(let base):
                    rolls.increment()
                    logger.debug("began a segment at offset \(base)", metadata: metadata)
                case .gaveUp(let segments, let start):
                    deletions.increment(by: Int64(segments))
                    logger.debug(
                        "gave up \(segments) segments; the log begins at offset \(start)",
                        metadata: metadata)
                case .compacted(let report, let duration):
                    compaction.recordNanoseconds(duration.nanoseconds)
                    compacted.increment(by: Int64(report.readBytes))
                    logger.debug(
                        """
                        compacted up to offset \(report.cleanedUpTo): \(report.replacedSegments) \
                        segments became \(report.writtenSegments)
                        """, metadata: metadata)
                case .compactionFailed(let error):
                    failures.increment()
                    logger.warning(
                        "a compaction failed and will be tried again: \(error)", metadata: metadata)
                case .becameReadOnly(let error):
                    state("cordwood_read_only").record(1)
                    logger.error("\(error)", metadata: metadata)
                case .resumed:
                    state("cordwood_read_only").record(0)
                    logger.notice("there is space again: appends resume", metadata: metadata)
                case .poisoned(let error):
                    state("cordwood_poisoned").record(1)
                    logger.critical("\(error)", metadata: metadata)
                }
            })
    }

    func state(_ name: String) -> Gauge {
        Gauge(label: name, dimensions: dimensions, factory: factory)
    }

    func opened(_ report: RecoveryReport, _ duration: Duration) {
        timer("cordwood_recovery_seconds").recordNanoseconds(duration.nanoseconds)
        counter("cordwood_quarantined_total").increment(by: Int64(report.quarantined.count))
        counter("cordwood_recovery_cut_bytes_total").increment(by: Int64(report.cutBytes))
    }

    func measured(_ gauges: LogGauges) {
        state("cordwood_segments").record(Int64(gauges.segments))
        state("cordwood_log_bytes").record(Int64(gauges.bytes))
        state("cordwood_start_offset").record(gauges.startOffset)
        state("cordwood_end_offset").record(gauges.endOffset)
        state("cordwood_undurable_records").record(gauges.endOffset - gauges.durableOffset)
        state("cordwood_cleanable_bytes").record(Int64(gauges.cleanableBytes))
        state("cordwood_read_only").record(gauges.health == .readOnly ? 1 : 0)
        state("cordwood_poisoned").record(gauges.health == .poisoned ? 1 : 0)
    }
}

extension Duration {
    /// As far as an `Int64` goes: 292 years.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole &+ attoseconds / 1_000_000_000
    }
}
#endif
