import CordwoodLog

/// Something that is done to each log now and then.
struct MaintenanceTask: Sendable {
    var name: String
    var run: @Sendable (any Log, _ now: Int64) async throws(LogError) -> Void

    /// What is soon done, in the order in which it is done to a log.
    static let upkeep = [
        MaintenanceTask(name: "rolling") { log, now async throws(LogError) in
            try await log.rollIfAged(now: now)
        },
        MaintenanceTask(name: "retention") { log, now async throws(LogError) in
            try await log.applyRetention(now: now)
        },
        MaintenanceTask(name: "expiry of producers") { log, now async throws(LogError) in
            await log.expireProducers(now: now)
        },
    ]

    static func compaction(_ options: CompactionOptions) -> MaintenanceTask {
        MaintenanceTask(name: "compaction") { log, now async throws(LogError) in
            _ = try await log.compactIfDue(now: now, options: options)
        }
    }
}
