public import CordwoodLog

extension Database {
    /// What the background maintenance has done so far; see
    /// ``DatabaseOptions/retentionCheckIntervalMilliseconds``.
    public var maintenance: MaintenanceStatus { registry.maintenanceStatus }

    /// Goes through all open logs once, now: rolls by age, applies retention, compacts what is due
    /// and forgets idle producers; and deletes the offsets of consumer groups that are gone
    /// (``DatabaseOptions/offsetsRetentionMinutes``). A log that fails does not stop the others; the
    /// status says which did.
    @discardableResult
    public func maintain() async throws(DatabaseError) -> MaintenanceStatus {
        try checkOpen()
        return await registry.maintain { [services] now async throws(DatabaseError) in
            try await services.expireOffsets(now: now)
        }
    }

    /// Changes the settings of a topic's logs, durably, for what is written from now on. The number
    /// of partitions is fixed.
    ///
    /// Throws ``DatabaseError/Code/unknownTopic``, ``DatabaseError/Code/invalidName`` for a topic of
    /// the database's own, and ``DatabaseError/Code/invalidConfiguration`` for settings that cannot
    /// work; nothing was changed then. Where a partition fails, the new settings hold for it when it is opened again.
    public func alterTopic(
        _ name: String, _ change: @Sendable (inout LogConfiguration) -> Void
    ) async throws(DatabaseError) {
        try checkOpen()
        try InternalTopic.checkIsCallers(name)
        try await registry.alterTopic(name, change)
    }
}
