import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

/// A collection whose log loses records that the view holds already.
@Suite(.timeLimit(.minutes(5))) struct CollectionTruncationTests {
    private func open(
        _ storage: SimulatedStorage, tailBytes: Int = 1 << 20
    ) async throws -> (Database, Collection) {
        let database = try await Database.open(on: storage)
        let log = LogConfiguration(
            segmentBytes: 20_000, maxMessageBytes: 4_000, tailBytes: tailBytes)
        return (
            database,
            try await database.collection("points", .init(dimensions: 1, metric: .l2, log: log))
        )
    }

    private func ids(_ collection: Collection) async throws -> Set<UInt64> {
        Set(try await collection.search([0], limit: 100).map(\.id))
    }

    /// What was given up is not found; what it had replaced is back; changes go on.
    @Test func theViewFollowsATruncation() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection) = try await open(storage)
        for id in 0..<10 as Range<UInt64> {
            try await collection.upsert([Point(id: id, vector: [Float(id)])])
        }
        try await collection.delete([2])
        try await collection.upsert([Point(id: 3, vector: [33])])
        #expect(collection.appliedOffset == 12)
        try await collection.log.truncate(to: 8)
        #expect(collection.appliedOffset == 8)
        #expect(try await ids(collection) == Set(0..<8))
        #expect(collection.count == 8)
        #expect(try await collection.get(3)?.vector == [3])
        #expect(try await collection.get(9) == nil)
        #expect(try await collection.upsert([Point(id: 50, vector: [1])]) == 8)
        #expect(try await collection.delete([0]) == 9)
        try await collection.log.truncate(to: 3)
        // The first to ask may be one who changes.
        #expect(try await collection.upsert([Point(id: 60, vector: [1])]) == 3)
        #expect(try await ids(collection) == [0, 1, 2, 60])
        try await collection.log.truncate(to: 0)
        #expect(try await ids(collection).isEmpty)
        try await database.close()
    }

    /// Changes and searches beside truncations end, and in the end the view is that of the log.
    @Test func changesBesideTruncations() async throws {
        for seed in 0..<4 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let (database, collection) = try await open(storage, tailBytes: 0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<4 as Range<UInt64> {
                    group.addTask {
                        for round in 0..<15 {
                            let id = writer * 100 + UInt64(round)
                            let acknowledge = Acknowledgement.allCases[round % 3]
                            try await collection.upsert(
                                [Point(id: id, vector: [Float(id)])], acknowledge: acknowledge)
                            _ = try await collection.get(id)
                            _ = try await collection.search([0], limit: 3)
                        }
                    }
                }
                group.addTask {
                    var random = SplitMix64(seed: seed)
                    for _ in 0..<10 {
                        let end = collection.log.endOffset
                        try await collection.log.truncate(
                            to: max(0, end - Int64(random.below(6))))
                    }
                }
                try await group.waitForAll()
            }
            try await collection.log.flush()
            let found = try await ids(collection)
            try await database.close()
            let (again, reopened) = try await open(storage)
            #expect(try await ids(reopened) == found, "seed \(seed)")
            #expect(reopened.count == found.count)
            try await again.close()
        }
    }

    /// Points that a full disk took back, after an append to memory only, are not found, and changes
    /// go on.
    @Test func pointsLostToAFullDisk() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection) = try await open(storage)
        try await collection.upsert([Point(id: 1, vector: [1])])
        storage.holdCompletions(of: [.write])
        let first = Task { try await collection.upsert([Point(id: 2, vector: [2])]) }
        await storage.waitForHeld()
        let second = Task {
            try await collection.upsert([Point(id: 3, vector: [3])], acknowledge: .memory)
        }
        try await Task.sleep(for: .milliseconds(20))
        storage.inject(Fault(.noSpace, at: 1, of: .write))
        storage.releaseCompletions()
        await expectDatabaseError(.log, "read-only") { _ = try await first.value }
        _ = try? await second.value
        try await eventually("resumes") { collection.log.health == .writable }
        #expect(try await collection.upsert([Point(id: 4, vector: [4])]) == 1)
        #expect(try await ids(collection) == [1, 4])
        try await database.close()
    }

    /// A point that was appended to memory only, and that will never be written.
    @Test func aPointThatIsLostIsNotWaitedFor() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection) = try await open(storage)
        try await collection.upsert([Point(id: 1, vector: [1])])
        storage.holdCompletions(of: [.write])
        try await collection.upsert([Point(id: 2, vector: [2])], acknowledge: .memory)
        let get = Task { try await collection.get(2) }
        try await eventually("its group is on its way") { storage.heldCount > 0 }
        storage.inject(Fault(.inputOutput, at: 1, isPersistent: true))
        try await collection.upsert([Point(id: 3, vector: [3])], acknowledge: .memory)
        let behind = Task { try await collection.get(3) }
        storage.releaseCompletions()
        // The first one was written before the disk failed, or not; the second was not.
        _ = try? await get.value
        await expectDatabaseError(.log, "poisoned") { _ = try await behind.value }
        #expect(try await collection.get(1)?.vector == [1])
        storage.clearFaults()
        try? await database.close()
    }

    /// The view is of all that was appended; so is what is read.
    @Test func aPointIsReadBeforeReplicasHaveIt() async throws {
        let (database, collection) = try await open(SimulatedStorage(seed: 1))
        for id in 0..<3 as Range<UInt64> {
            try await collection.upsert([Point(id: id, vector: [Float(id)])])
        }
        collection.log.setHighWatermark(1)
        #expect(try await collection.get(2)?.vector == [2])
        // A view that is made anew is no shorter, and takes what comes behind it.
        try await collection.log.truncate(to: 2)
        try await collection.upsert([Point(id: 5, vector: [5])])
        #expect(try await ids(collection) == [0, 1, 5])
        #expect(try await collection.get(5)?.vector == [5])
        try await database.close()
    }

    /// A point that was appended to memory only is read once it is written, however many come before
    /// it.
    @Test func pointsOnTheirWayCanBeRead() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection) = try await open(storage)
        storage.holdCompletions(of: [.write])
        // In order: each waits in the view for the one before.
        for id in 0..<5 as Range<UInt64> {
            try await collection.upsert([Point(id: id, vector: [1])], acknowledge: .memory)
        }
        let reads = (0..<5 as Range<UInt64>).map { id in Task { try await collection.get(id) } }
        await storage.waitForHeld()
        storage.releaseCompletions()
        for (id, read) in reads.enumerated() { #expect(try await read.value?.id == UInt64(id)) }
        try await database.close()
    }
}
