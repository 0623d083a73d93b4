import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import Cordwood

/// Searches, changes and sealings at once, on real threads: to be run under the thread sanitizer, too.
@Suite(.timeLimit(.minutes(10))) struct SealingConcurrencyTests {
    /// Where a database lies.
    enum Place: CaseIterable {
        case disk, simulated
    }

    private static let kinds: [IndexKind] = [.flat] + PointModel.kinds.prefix(3)

    /// Each writer has ids of its own, so that it knows what has to be found at any moment.
    @Test(arguments: kinds, Place.allCases)
    func everythingAtOnce(index: IndexKind, place: Place) async throws {
        let folder = TemporaryDirectory()
        let simulated = SimulatedStorage(seed: 1)
        func open() async throws -> Database {
            switch place {
            case .disk: try await Database.open(at: folder("database"))
            case .simulated: try await Database.open(on: simulated)
            }
        }
        let database = try await open()
        let collection = try await database.collection(
            "points", PointModel.configuration(sealAfter: 60, index: index))
        let writers = 4
        let perWriter: UInt64 = 50
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    try await Self.write(
                        collection, UInt64(writer) * 1000..<UInt64(writer) * 1000 + perWriter,
                        seed: UInt64(writer))
                }
            }
            for reader in 0..<2 {
                group.addTask {
                    var random = SplitMix64(seed: UInt64(100 + reader))
                    for _ in 0..<80 {
                        let query = PointModel.vector(&random)
                        let found = try await collection.search(query, limit: 20)
                        #expect(Set(found.map(\.id)).count == found.count)
                        #expect(
                            zip(found, found.dropFirst()).allSatisfy { $0.distance <= $1.distance })
                        _ = try await collection.search(query, within: 100)
                        _ = await collection.segments
                    }
                }
            }
            group.addTask {
                for round in 0..<8 {
                    try await collection.seal(merging: round % 3 == 2 ? .all : .small)
                }
            }
            try await group.waitForAll()
        }
        #expect(collection.sealFailure == nil)
        let everything = try await collection.search(
            [0, 0, 0, 0, 0, 0], limit: 1000, accuracy: .exact)
        #expect(everything.count == collection.count)
        try await database.close()
        // The log alone says the same.
        let again = try await open()
        let reopened = try await again.collection(named: "points")
        #expect(
            try await reopened.search([0, 0, 0, 0, 0, 0], limit: 1000, accuracy: .exact)
                == everything)
        try await again.close()
    }

    /// What was written is found at once and what was deleted is not, whatever is sealed meanwhile.
    private static func write(
        _ collection: Collection, _ ids: Range<UInt64>, seed: UInt64
    ) async throws {
        var random = SplitMix64(seed: seed)
        var model: [UInt64: [Float]] = [:]
        for _ in 0..<60 {
            let id = ids.lowerBound + UInt64(random.below(ids.count))
            if random.below(4) == 0 {
                try await collection.delete([id], acknowledge: .written)
                model[id] = nil
            } else {
                let vector = PointModel.vector(&random)
                try await collection.upsert(
                    [Point(id: id, vector: vector)], acknowledge: .written)
                model[id] = vector
            }
            let own = try await collection.search(
                [0, 0, 0, 0, 0, 0], limit: ids.count, accuracy: .exact, allowing: Set(ids))
            #expect(Set(own.map(\.id)) == Set(model.keys), "seed \(seed)")
            for neighbor in own {
                let length = (model[neighbor.id] ?? []).reduce(0) { $0 + $1 * $1 }
                #expect(neighbor.distance == length, "seed \(seed), id \(neighbor.id)")
            }
        }
    }

    /// Closing does not wait for a long sealing, and loses nothing.
    @Test func closingEndsASealing() async throws {
        let folder = TemporaryDirectory()
        var database = try await Database.open(at: folder("database"))
        var collection = try await database.collection(
            "points", PointModel.configuration())
        var random = SplitMix64(seed: 1)
        try await collection.upsert(
            (0..<4000).map { Point(id: $0, vector: PointModel.vector(&random)) })
        let began = AsyncStream<Void>.makeStream()
        let points = collection
        let sealing = Task {
            try await points.seal { _, _ in began.continuation.yield() }
        }
        for await _ in began.stream { break }
        try await database.close()
        switch await sealing.result {
        case .success: break
        case .failure(let error): #expect((error as? DatabaseError)?.code == .closed, "\(error)")
        }
        database = try await Database.open(at: folder("database"))
        collection = try await database.collection(named: "points")
        #expect(collection.count == 4000)
        #expect(database.recovery.notes.isEmpty)
        try await database.close()
    }
}
