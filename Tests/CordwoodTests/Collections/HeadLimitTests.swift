import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

/// Upserts that outrun sealing wait: the head is bounded, and nobody waits for ever.
@Suite(.timeLimit(.minutes(2))) struct HeadLimitTests {
    private static let batch = 5

    private func points(_ first: UInt64) -> [Point] {
        (first..<first + UInt64(Self.batch)).map {
            Point(id: $0, vector: [1, 2, 3, 4, 5, Float($0)])
        }
    }

    /// A collection of which no segment can be named, with a full head and writers that wait.
    private func full(
        _ storage: SimulatedStorage, writers: Int
    ) async throws -> (Database, Collection, [Task<Void, any Error>]) {
        let database = try await Database.open(on: storage)
        let configuration = PointModel.configuration(sealAfter: 20)
        #expect(configuration.headLimit == 80)
        let collection = try await database.collection("points", configuration)
        storage.holdCompletions(of: [.rename])
        let tasks = (0..<UInt64(writers)).map { writer in
            Task {
                for step in 0..<10 as Range<UInt64> {
                    try await collection.upsert(points(1000 * writer + 5 * step))
                }
            }
        }
        try await eventually("all wait") { collection.sealing.room.waiterCount == writers }
        return (database, collection, tasks)
    }

    @Test func upsertsWaitForTheSealing() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, collection, writers) = try await full(storage, writers: 8)
        let count = collection.headCount
        #expect((80..<80 + Self.batch).contains(count) && collection.count == count)
        // Nothing else waits.
        let found = try await collection.search([1, 2, 3, 4, 5, 0], limit: 1000)
        #expect(found.count == count)
        try await collection.delete([100_000])
        #expect(collection.sealing.room.waiterCount == 8)
        // One that gives up has written nothing.
        let cancelled = Task { try await collection.upsert(points(50_000)) }
        try await eventually("waits") { collection.sealing.room.waiterCount == 9 }
        cancelled.cancel()
        await expectDatabaseError(.cancelled) { _ = try await cancelled.value }
        #expect(collection.headCount == count)
        // A deletion makes room for one.
        try await collection.delete(found.prefix(Self.batch).map(\.id))
        try await eventually("one more") { collection.headCount >= 80 }
        storage.releaseCompletions()
        for writer in writers { try await writer.value }
        #expect(collection.count == 8 * 50 - Self.batch)
        #expect(try await collection.get(50_000) == nil)
        try await database.close()
    }

    @Test func closingLetsGoOfWhoWaits() async throws {
        let storage = SimulatedStorage(seed: 1)
        let (database, _, writers) = try await full(storage, writers: 3)
        let closing = Task { try await database.close() }
        for writer in writers { await expectDatabaseError(.closed) { try await writer.value } }
        storage.releaseCompletions()
        try await closing.value
    }

    /// Where sealing fails the head is bounded all the same, and upserts go on when it succeeds again.
    @Test func aSealingThatFailsRefusesUpserts() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let collection = try await database.collection(
            "points", PointModel.configuration(sealAfter: 20))
        // The folder of the segments cannot be made.
        for number in 1...100 { storage.inject(Fault(.noSpace, at: number, of: .mkdir)) }
        var first: UInt64 = 0
        var failure: DatabaseError?
        while failure == nil, first < 1000 {
            do throws(DatabaseError) {
                try await collection.upsert(points(first))
                first += UInt64(Self.batch)
            } catch { failure = error }
        }
        #expect(failure?.code == .sealingFailed)
        #expect("\(try #require(failure))".contains("no space"))
        #expect(first == 80 && collection.count == 80 && collection.log.endOffset == 80)
        // As often as it is tried.
        await expectDatabaseError(.sealingFailed) { try await collection.upsert(points(first)) }
        #expect(try await collection.search([1, 2, 3, 4, 5, 0], limit: 1000).count == 80)
        storage.clearFaults()
        try await collection.upsert(points(first))
        #expect(collection.count == 85)
        try await eventually("sealed") {
            collection.headCount < 20 && collection.sealFailure == nil
        }
        try await database.close()
    }

    /// A flat collection has nothing but its head.
    @Test func aFlatCollectionHasNoLimit() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let configuration = PointModel.configuration(sealAfter: 1, index: .flat)
        #expect(configuration.headLimit == nil)
        let collection = try await database.collection("points", configuration)
        for step in 0..<5 as Range<UInt64> { try await collection.upsert(points(5 * step)) }
        #expect(collection.headCount == 25)
        try await database.close()
    }
}
