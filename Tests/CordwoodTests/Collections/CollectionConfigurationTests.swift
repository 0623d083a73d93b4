import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

@Suite struct CollectionConfigurationTests {
    static let kinds: [IndexKind] = [
        .flat, .hnsw(), .ivf(), .disk(),
        .ivf(
            IVFConfiguration(
                lists: 77, quantization: .rabitq, groupWidth: 3, rabitqBits: 5,
                keepsVectors: false, seed: .max)),
        .disk(
            DiskConfiguration(
                degree: 12, efConstruction: 100, memoryCapBytes: 1 << 40,
                buildMemoryCapBytes: 1 << 41, seed: 3)),
        .hnsw(
            HNSWConfiguration(
                neighbors: 48, efConstruction: 500, quantization: .sq4, reranking: .f16,
                seed: .max)),
    ]

    @Test(arguments: kinds) func theCatalogKeepsIt(index: IndexKind) throws {
        let configuration = CollectionConfiguration(
            dimensions: 384, metric: .cosine, index: index, sealAfter: 1234,
            log: .init(segmentBytes: 99_999))
        let edit = CatalogEdit.addCollection(name: "notes", configuration)
        #expect(CatalogEdit(edit.encode()) == edit)
        let bytes = edit.encode()
        for length in bytes.indices { #expect(CatalogEdit(Array(bytes[..<length])) == nil) }
        var random = SplitMix64(seed: 1)
        for _ in 0..<2000 {
            var forged = bytes
            forged[random.below(bytes.count)] = UInt8(random.below(256))
            // Either outcome will do; what parses can be written again.
            guard let edit = CatalogEdit(forged) else { continue }
            #expect(CatalogEdit(edit.encode()) == edit)
        }
    }

    /// Catalogs that were written before there were segments.
    @Test(arguments: [UInt8(2), 4]) func olderCatalogsAreRead(kind: UInt8) async throws {
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count), 0] + Array(text.utf8) }
        func numbers(_ numbers: [Int]) -> [UInt8] {
            numbers.flatMap { withUnsafeBytes(of: UInt64($0).littleEndian) { Array($0) } }
        }
        var bytes = [kind] + text("old") + [3, 0, 0, 0] + text("l2") + text("flat")
        let log = LogConfiguration()
        if kind == 2 {
            bytes += numbers([
                log.segmentBytes, log.indexIntervalBytes, log.maxMessageBytes,
                log.maximumQueuedBytes, log.maximumGroupBytes, log.tailBytes,
            ])
        } else {
            bytes += [1, 0, 1, 0] + numbers([log.segmentBytes])
        }
        let expected = CollectionConfiguration(dimensions: 3, metric: .l2)
        #expect(CatalogEdit(bytes) == .addCollection(name: "old", expected))
        let storage = SimulatedStorage(seed: 1)
        await
            (try EditLog.create(
                try StoragePath.root.appending("CORDWOOD"), on: storage, kind: .catalog,
                identity: 1, edits: [bytes])).close()
        let database = try await Database.open(on: storage)
        let collection = try await database.collection(named: "old")
        try await collection.upsert([Point(id: 1, vector: [1, 2, 3])])
        // Nothing is sealed where the index is flat.
        try await collection.seal(merging: .all)
        #expect(await collection.segments.isEmpty)
        #expect(try await collection.search([1, 2, 3]) == [Neighbor(id: 1, distance: 0)])
        try await database.close()
    }

    @Test func whatCannotBeIsRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        for index in [
            IndexKind.hnsw(.init(neighbors: 1)), .hnsw(.init(efConstruction: 8)),
            .hnsw(.init(quantization: .rabitq)), .ivf(.init(lists: 0)),
            .ivf(.init(quantization: .sq4)), .ivf(.init(rabitqBits: 9)), .disk(.init(degree: 7)),
            .disk(.init(memoryCapBytes: 0)),
        ] {
            await expectDatabaseError(.invalidConfiguration, index.name) {
                _ = try await database.collection(
                    "points", .init(dimensions: 3, metric: .l2, index: index))
            }
        }
        await expectDatabaseError(.invalidConfiguration, "sealAfter") {
            _ = try await database.collection(
                "points", .init(dimensions: 3, metric: .l2, index: .hnsw(), sealAfter: 0))
        }
        _ = try await database.collection("points", .init(dimensions: 3, metric: .l2))
        await expectDatabaseError(.configurationMismatch, "hnsw") {
            _ = try await database.collection(
                "points", .init(dimensions: 3, metric: .l2, index: .hnsw()))
        }
        #expect(database.collectionNames == ["points"])
        try await database.close()
    }

    @Test func searchesThatAreRefused() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let collection = try await database.collection(
            "points", .init(dimensions: 2, metric: .l2, index: .hnsw()))
        for sealed in [false, true] {
            for accuracy in [SearchAccuracy.effort(0), .recall(0), .recall(1.5), .recall(.nan)] {
                await expectDatabaseError(.invalidVector, "effort") {
                    _ = try await collection.search([1, 2], accuracy: accuracy)
                }
            }
            for limit in [0, -1, FlatIndex.maximumLimit + 1] {
                await expectDatabaseError(.invalidVector, "limit") {
                    _ = try await collection.search([1, 2], limit: limit)
                }
                await expectDatabaseError(.invalidVector, "limit") {
                    _ = try await collection.search([1, 2], within: 1, maximum: limit)
                }
            }
            await expectDatabaseError(.invalidVector, "distance") {
                _ = try await collection.search([1, 2], within: .nan)
            }
            await expectDatabaseError(.invalidVector, "expected 2") {
                _ = try await collection.search([1, 2, 3, 4])
            }
            #expect(try await collection.search(batch: []).isEmpty)
            #expect(try await collection.search([1, 2], allowing: []).isEmpty)
            if !sealed {
                try await collection.upsert([Point(id: .max, vector: [1, 2])])
                try await collection.seal()
            }
        }
        #expect(try await collection.search([1, 2], within: .infinity).map(\.id) == [.max])
        #expect(try await collection.search([1, 2], within: -1).isEmpty)
        #expect(try await collection.search([1, 2], allowing: [.max, 3]).map(\.id) == [.max])
        try await database.close()
    }
}
