extension PartitionLog {
    public func observe(_ observer: LogObserver?) { self.observer = observer }
}

extension LogObserver {
    func tell<Waiter>(
        of group: [GroupCommit<Waiter>.Entry], synced: Bool, since start: Duration
    ) {
        var report = LogGroup(
            batches: group.count, records: 0, bytes: 0, isSynced: synced, duration: now() - start)
        for entry in group {
            report.records += entry.batch.recordCount
            report.bytes += entry.batch.byteCount
        }
        committed(report)
    }
}
