import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

/// Catalogs that lie under checksums that are right: what they name is refused by name, or opens,
/// and nothing outside of the database's folder is touched.
@Suite(.timeLimit(.minutes(10))) struct HostileCatalogTests {
    /// A database whose catalog has these entries.
    private func database(
        _ entries: [[UInt8]], on storage: SimulatedStorage = SimulatedStorage(seed: 1)
    ) async throws -> Database {
        let path = try StoragePath.root.appending("CORDWOOD")
        await
            (try EditLog.create(
                path, on: storage, kind: .catalog, identity: 1, edits: entries)).close()
        return try await Database.open(on: storage)
    }

    private func topic(_ name: String, partitions: Int = 1) -> [UInt8] {
        CatalogEdit.addTopic(name: name, TopicConfiguration(partitions: partitions)).encode()
    }

    @Test(arguments: [
        "..", ".", "../../etc/x", "a/b", "", "zero\u{0}byte", "new\nline", "blank space",
        String(repeating: "x", count: 300),
    ]) func namesThatLeadElsewhereAreRefused(name: String) async throws {
        let collection = CatalogEdit.addCollection(
            name: name, CollectionConfiguration(dimensions: 2, metric: .l2))
        let storage = SimulatedStorage(seed: 1)
        let database = try await database(
            [topic(name), collection.encode(), topic("sound")], on: storage)
        await expectDatabaseError(.invalidName) { _ = try await database.topic(named: name) }
        await expectDatabaseError(.invalidName) { _ = try await database.collection(named: name) }
        _ = try await database.topic(named: "sound").append([Record("taken")])
        try await database.close()
        #expect(storage.files.allSatisfy { $0.names.count == 1 || $0.names.contains("sound") })
    }

    @Test func numbersOfPartitionsAndDimensionsAreChecked() async throws {
        for partitions in [0, 4097, Int(UInt32.max)] {
            let database = try await database([topic("orders", partitions: partitions)])
            await expectDatabaseError(.invalidConfiguration, "partitions") {
                _ = try await database.topic(named: "orders")
            }
            try await database.close()
        }
        for dimensions in [0, 65_537, Int(UInt32.max)] {
            let edit = CatalogEdit.addCollection(
                name: "points", CollectionConfiguration(dimensions: dimensions, metric: .cosine))
            let database = try await database([edit.encode()])
            await expectDatabaseError(.invalidConfiguration, "dimensions") {
                _ = try await database.collection(named: "points")
            }
            try await database.close()
        }
    }

    private static let numbers: [UInt64] = [
        0, 1, 2, 0xFF, 0xFFFF, 1 << 20, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max, .max - 1,
    ]

    @Test func forgedEntriesNeverTrapOrHang() async throws {
        var log = LogConfiguration(segmentBytes: 20_000, maxMessageBytes: 4_000)
        log.cleanupPolicy = [.compact, .delete]
        let good = [
            CatalogEdit.addTopic(name: "orders", TopicConfiguration(partitions: 2, log: log)),
            .addCollection(
                name: "points", CollectionConfiguration(dimensions: 3, metric: .cosine, log: log)),
        ].map { $0.encode() }
        var opened = 0
        for seed in 0..<150 as Range<UInt64> {
            var random = SplitMix64(seed: seed)
            var entries = good
            for _ in 0..<1 + random.below(3) {
                let entry = random.below(2)
                let place = random.below(entries[entry].count)
                let width = 1 << random.below(4)
                let number = Self.numbers[random.below(Self.numbers.count)]
                for index in 0..<width where place + index < entries[entry].count {
                    entries[entry][place + index] = UInt8(truncatingIfNeeded: number >> (8 * index))
                }
            }
            let database: Database
            do { database = try await self.database(entries) } catch {
                #expect(error is DatabaseError, "\(error), seed \(seed)")
                continue
            }
            for name in database.topicNames {
                do {
                    let topic = try await database.topic(named: name)
                    _ = try await topic.append([Record(key: [1], value: [2], timestamp: 1)])
                    opened += 1
                } catch {
                    #expect(error is DatabaseError || error is LogError, "\(error), seed \(seed)")
                }
            }
            for name in database.collectionNames {
                do { _ = try await database.collection(named: name) } catch {
                    #expect(!"\(error)".isEmpty)
                }
            }
            _ = try await database.maintain()
            try await database.close()
        }
        #expect(opened > 20)
    }
}
