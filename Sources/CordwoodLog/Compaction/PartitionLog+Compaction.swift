import CordwoodStorage

/// Keeping only the latest record of each key.
///
/// A pass reads what has not been compacted yet, notes the last offset of each key, and then writes
/// the log from its start on anew, group of segments by group of segments, without what a later
/// record replaced. Each group takes effect by one edit of the manifest, oldest first, so that
/// after a crash every group is old or new, whole, and no record is gone before the one that
/// replaced it is there to be read. Appends and reads go on beside it; only the edit itself takes
/// the structure lock.
///
/// A failure leaves the log as it was but for the groups that were done. It is kept in
/// ``compactionFailure`` and the next pass tries again.
extension PartitionLog {
    public var cleanableBytes: Int { plan(at: storage.clock.millisecondsNow()).cleanableBytes }
    public var dirtyRatio: Double { plan(at: storage.clock.millisecondsNow()).dirtyRatio }
    public var compactionFailure: LogError? { compaction.failure }

    @discardableResult
    public func compactIfDue(
        now: Int64, options: CompactionOptions = .init()
    ) async throws(LogError) -> CompactionReport? {
        guard configuration.cleanupPolicy.contains(.compact), !compaction.isRunning else {
            return nil
        }
        let plan = plan(at: now)
        guard plan.cleanableBytes > 0 else { return nil }
        var isDue = plan.dirtyRatio > configuration.minCleanableDirtyRatio
        if !isDue { isDue = try await isOverdue(plan, now: now) }
        guard isDue, !compaction.isRunning else { return nil }
        return try await runPass(now: now, options)
    }

    @discardableResult
    public func compact(
        force: Bool = false, options: CompactionOptions = .init()
    ) async throws(LogError) -> CompactionReport? {
        guard configuration.cleanupPolicy.contains(.compact) else {
            throw LogError(
                .invalidConfiguration,
                "\(directory): expected a cleanupPolicy with compact, found "
                    + "\(configuration.cleanupPolicy); nothing was changed")
        }
        let now = storage.clock.millisecondsNow()
        let plan = plan(at: now)
        guard plan.cleanableBytes > 0 || (force && plan.segmentCount > 0), !compaction.isRunning
        else { return nil }
        return try await runPass(now: now, options)
    }

    /// Throws ``LogError/Code/keyRequired`` for a record without a key in a log that is compacted.
    nonisolated func checkKeys(_ records: [Record]) throws(LogError) {
        guard configuration.cleanupPolicy.contains(.compact),
            let number = records.firstIndex(where: { $0.key == nil })
        else { return }
        throw LogError(
            .keyRequired,
            "record \(number) has no key, expected one in \(directory), which is compacted; "
                + "nothing was appended")
    }

    private func plan(at now: Int64) -> CompactionPlan {
        CompactionPlan(
            manifest.manifest.sealed, startOffset: startOffset,
            cleanedUpTo: manifest.manifest.cleanedUpTo, stableOffset: lastStableOffset, now: now,
            configuration: configuration)
    }

    /// Whether the first record that has not been compacted has waited too long. As in Kafka its
    /// batch's timestamp counts, but one in the future no more than the log's own clock.
    private func isOverdue(_ plan: CompactionPlan, now: Int64) async throws(LogError) -> Bool {
        guard let lag = configuration.maxCompactionLagMilliseconds else { return false }
        let first = manifest.manifest.sealed.first { $0.end.nextOffset > plan.firstDirtyOffset }
        let batch: RecordBatch?
        do throws(LogError) {
            batch = try await read(from: plan.firstDirtyOffset, maximumBytes: 1).first
        } catch {
            // Compaction itself passes over damage.
            if error.code == .damaged { return true }
            throw error
        }
        guard let batch, let first else { return false }
        let appended = first.times.lastAppendTime
        let time = appended > 0 ? min(batch.maxTimestamp, appended) : batch.maxTimestamp
        let (age, overflow) = now.subtractingReportingOverflow(time)
        return overflow || age > Int64(lag)
    }

    private func runPass(
        now: Int64, _ options: CompactionOptions
    ) async throws(LogError) -> CompactionReport {
        try checkAppendable()
        compaction.begin()
        defer { compaction.end() }
        let start = observer?.now()
        do throws(LogError) {
            // Planned here, without a suspension before the segments are taken in hand.
            let report = try await pass(plan(at: now), now: now, options)
            compaction.failure = nil
            state.publish { snapshot in
                snapshot.statistics.compactions += 1
                snapshot.statistics.compactedBytes += report.readBytes
            }
            if let observer, let start {
                observer.happened(.compacted(report, duration: observer.now() - start))
            }
            return report
        } catch {
            if error.code != .cancelled && error.code != .closed {
                compaction.failure = error
                state.publish { $0.statistics.failedCompactions += 1 }
                observer?.happened(.compactionFailed(error))
            }
            throw error
        }
    }
}
