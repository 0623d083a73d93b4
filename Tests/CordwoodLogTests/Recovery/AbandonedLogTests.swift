import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct AbandonedLogTests {
    @Test func whatNeverHeldARecordIsRemoved() async throws {
        let storage = SimulatedStorage(seed: 1)
        let paths = [try path("topic/0"), try path("topic/1")]
        for path in paths {
            let log = try await PartitionLog.open(path, on: storage, configuration: .small)
            try await log.close()
        }
        // One that was given up before it had a manifest, and a file that is nobody's.
        try await storage.remove(path("topic/1/manifest"))
        _ = try await storage.open(path("topic/1/notes.txt"), .create)
        try await AbandonedLog.remove(paths, on: storage)
        #expect(storage.files.map(\.description) == ["topic/1/notes.txt"])
        #expect(try await storage.entries(of: path("topic")).map(\.name) == ["1"])
    }

    /// Whoever should know of them has lost something; nothing of any of the logs may go.
    @Test func recordsAreNeverRemoved() async throws {
        let storage = SimulatedStorage(seed: 1)
        let paths = [try path("topic/0"), try path("topic/1")]
        for (number, path) in paths.enumerated() {
            let log = try await PartitionLog.open(path, on: storage, configuration: .small)
            if number == 1 { _ = try await log.append([Record("kept")]) }
            try await log.close()
        }
        let before = storage.files
        await expectLogError(.inconsistent) {
            try await AbandonedLog.remove(paths, on: storage)
        }
        #expect(storage.files == before)
        let log = try await PartitionLog.open(paths[1], on: storage, configuration: .small)
        #expect(try await log.all().map(\.text) == ["kept"])
    }
}
