import Cordwood
import CordwoodLog
import CordwoodSimulation
import Testing

@Suite(.timeLimit(.minutes(5))) struct MaintenanceTests {
    /// Retention keeps a disk from filling up, and must not wait behind a compaction that is
    /// throttled; closing ends that compaction.
    @Test func nothingWaitsForCompaction() async throws {
        let storage = SimulatedStorage(seed: 1)
        var options = DatabaseOptions()
        options.retentionCheckIntervalMilliseconds = 1
        options.compaction.maximumBytesPerSecond = 1
        let database = try await Database.open(on: storage, options)
        var compacted = TopicConfiguration()
        compacted.log.cleanupPolicy = .compact
        compacted.log.segmentMilliseconds = 1
        let latest = try await database.topic("latest", compacted)
        var deleted = TopicConfiguration()
        deleted.log.segmentMilliseconds = 1
        deleted.log.retentionMilliseconds = 100
        let events = try await database.topic("events", deleted)

        for _ in 0..<2 { _ = try await latest.append([Record("value", key: "key")]) }
        storage.simulatedClock.advance(milliseconds: 10)
        try await eventually("compaction has begun") {
            storage.simulatedClock.advance(milliseconds: 1)
            return latest[0].segmentCount > 1
        }
        _ = try await events.append([Record("old")])
        storage.simulatedClock.advance(milliseconds: 1000)
        try await eventually("what is old goes") { events[0].startOffset == 1 }
        #expect(latest[0].statistics.compactions == 0, "the throttle does not hold compaction up")
        try await database.close()
    }
}
