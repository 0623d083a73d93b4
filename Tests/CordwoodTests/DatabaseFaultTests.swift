import Cordwood
import CordwoodSimulation
import CordwoodStorage
import Testing

/// Disks that fill or fail while a database makes or opens what it holds.
@Suite struct DatabaseFaultTests {
    private static let collection = CollectionConfiguration(dimensions: 2, metric: .l2)

    private func count(_ storage: SimulatedStorage, _ body: () async throws -> Void) async throws
        -> Int
    {
        let before = storage.trace.count
        try await body()
        return storage.trace.count - before
    }

    /// Whichever operation finds no space, what is made at the second attempt is whole, and what is
    /// appended to it stays: the log of the first attempt is not open beside it.
    @Test func makingATopicAgainAfterAFullDisk() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let operations = try await count(storage) {
            _ = try await database.topic("orders", .init(partitions: 2))
        }
        try await database.close()
        var failures = 0
        for number in 1...operations {
            let storage = SimulatedStorage(seed: 1)
            let database = try await Database.open(on: storage)
            storage.inject(Fault(.noSpace, at: number))
            do {
                _ = try await database.topic("orders", .init(partitions: 2))
            } catch { failures += 1 }
            storage.clearFaults()
            let orders: Topic
            do {
                orders = try await database.topic("orders", .init(partitions: 2))
            } catch {
                // A sync that failed leaves the end of the catalog's file unknown.
                try await database.close()
                continue
            }
            for partition in orders.partitions {
                _ = try await partition.append([Record("kept")])
            }
            try await database.close()
            let again = try await Database.open(on: storage)
            for partition in try await again.topic(named: "orders").partitions {
                var found = 0
                for try await record in partition.records(from: 0, following: false) {
                    #expect(record.text == "kept")
                    found += 1
                }
                #expect(found == 1, "operation \(number)")
            }
            try await again.close()
        }
        #expect(failures > 10)
    }

    /// The same for a collection whose log opens and whose points cannot be read at first.
    @Test func openingACollectionAgainAfterItCouldNotBeRead() async throws {
        for number in 1..<40 {
            let storage = SimulatedStorage(seed: 1)
            var database = try await Database.open(on: storage)
            _ = try await database.collection("points", Self.collection)
                .upsert([Point(id: 1, vector: [1, 2])])
            try await database.close()
            database = try await Database.open(on: storage)
            storage.inject(Fault(.inputOutput, at: number, of: number % 2 == 0 ? .read : nil))
            do { _ = try await database.collection(named: "points") } catch {}
            storage.clearFaults()
            do {
                _ = try await database.collection(named: "points")
                    .upsert([Point(id: 2, vector: [3, 4])])
            } catch {
                try? await database.close()
                continue
            }
            try await database.close()
            database = try await Database.open(on: storage)
            let points = try await database.collection(named: "points")
            #expect(points.count == 2, "operation \(number)")
            try await database.close()
        }
    }

    /// One partition's failing disk is not another's, nor the catalog's.
    @Test func whatIsPoisonedLeavesTheRestAlone() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let first = try await database.topic("first")
        let second = try await database.topic("second", .init(partitions: 2))
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await #expect(throws: LogError.self) { _ = try await first.append([Record("lost")]) }
        do {
            _ = try await first.append([Record("refused")])
            Issue.record("a poisoned log took an append")
        } catch {
            #expect(error.code == .poisoned)
            #expect(error.message.contains("close it and open it again"))
        }
        for partition in second.partitions { _ = try await partition.append([Record("taken")]) }
        _ = try await database.topic("third").append([Record("taken")])
        let status = try await database.maintain()
        #expect(status.failures.allSatisfy { $0.contains("first") })
        do { try await database.close() } catch { #expect("\(error)".contains("first")) }
        let again = try await Database.open(on: storage)
        _ = try await again.topic(named: "first").append([Record("taken")])
        try await again.close()
    }
}
