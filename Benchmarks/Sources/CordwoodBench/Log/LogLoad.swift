import Cordwood

/// Producers that append side by side, each of them one batch at a time, for some seconds.
struct LogLoad {
    var recordBytes: Int
    var recordsPerBatch: Int
    var producers: Int
    var acknowledge: Acknowledgement
    /// Whether producers run on the database's own thread.
    var onDatabaseThread = false

    /// What a load did.
    struct Result {
        var seconds: Double
        var records: Int
        /// Microseconds from the call of `append` to its return.
        var acknowledgements: Samples
        var statistics: LogStatistics
        /// Of all threads of this process, producers included.
        var processorSeconds: Double

        /// Bytes of batches, as they lie in the log.
        var megabytesPerSecond: Double { Double(statistics.appendedBytes) / 1e6 / seconds }
        var recordsPerSecond: Double { Double(records) / seconds }
        var syncsPerSecond: Double { Double(statistics.syncs) / seconds }
        /// Bytes that one write of the log carries.
        var bytesPerGroup: Double {
            Double(statistics.appendedBytes) / Double(max(statistics.groups, 1))
        }
        var processorSecondsPerGigabyte: Double {
            processorSeconds / (Double(statistics.appendedBytes) / 1e9)
        }
    }

    /// Appends until `duration` is over; each producer then waits for its last acknowledgement.
    func run(on log: LogUnderTest, for duration: Duration) async throws -> Result {
        let before = log.statistics
        let processorBefore = Machine.processorSeconds
        let clock = ContinuousClock()
        let start = clock.now
        let end = start + duration
        let latencies = try await withThrowingTaskGroup(of: [Double].self) { group in
            for producer in 0..<producers {
                let records = records(of: producer)
                group.addTask(executorPreference: onDatabaseThread ? log.taskExecutor : nil) {
                    try await produce(records, on: log, until: end, clock)
                }
            }
            return try await group.reduce(into: [Double]()) { $0 += $1 }
        }
        return Result(
            seconds: start.duration(to: clock.now) / .seconds(1),
            records: latencies.count * recordsPerBatch, acknowledgements: Samples(latencies),
            statistics: log.statistics - before,
            processorSeconds: Machine.processorSeconds - processorBefore)
    }

    /// Appends until it is killed; `onFirst` is called after the first acknowledgement.
    func runForever(on log: LogUnderTest, onFirst: @Sendable () -> Void) async throws {
        let records = records(of: 0)
        try await log.append(records, acknowledge: acknowledge)
        onFirst()
        _ = try await run(on: log, for: .seconds(1_000_000))
    }

    /// The latencies of one producer.
    private func produce(
        _ records: [Record], on log: LogUnderTest, until end: ContinuousClock.Instant,
        _ clock: ContinuousClock
    ) async throws -> [Double] {
        var latencies: [Double] = []
        var now = clock.now
        while now < end {
            try await log.append(records, acknowledge: acknowledge)
            let returned = clock.now
            latencies.append(now.duration(to: returned) / .microseconds(1))
            now = returned
        }
        return latencies
    }

    /// The records that a producer appends again and again: bytes that do not compress, made before
    /// the clock starts.
    private func records(of producer: Int) -> [Record] {
        var generator = SplitMix64(seed: UInt64(producer))
        return (0..<recordsPerBatch).map { _ in
            let value = [UInt8](unsafeUninitializedCapacity: recordBytes) { buffer, count in
                for index in buffer.indices {
                    buffer[index] = UInt8(truncatingIfNeeded: generator.next())
                }
                count = recordBytes
            }
            return Record(value: value)
        }
    }
}

extension LogStatistics {
    static func - (a: Self, b: Self) -> Self {
        var difference = a
        difference.appendedRecords -= b.appendedRecords
        difference.appendedBytes -= b.appendedBytes
        difference.groups -= b.groups
        difference.syncs -= b.syncs
        return difference
    }
}
