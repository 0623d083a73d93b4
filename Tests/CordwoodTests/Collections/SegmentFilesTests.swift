import CordwoodLog
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import Cordwood

@Suite struct SegmentFilesTests {
    private var manifest: SegmentManifest {
        var live = VectorBitmap(count: 70, repeating: true)
        live[3] = false
        live[69] = false
        func facts(_ count: Int) -> SegmentFacts {
            SegmentFacts(
                indexBytes: 1 << 40, indexChecksum: 7, placesBytes: 28 + 8 * count + 4,
                placesChecksum: .max)
        }
        return SegmentManifest(
            position: LogPosition(offset: 900, leaderEpoch: 4, checksum: 5), nextNumber: 9,
            entries: [
                .init(number: 1, kind: 1, files: facts(70), live: live, offsets: 0..<800),
                .init(
                    number: 8, kind: 3, files: facts(64),
                    live: VectorBitmap(count: 64), offsets: 800..<900),
            ])
    }

    private func bytes(_ block: MemoryBlock) -> [UInt8] { block.withBytes { $0.array } }

    /// Bytes with the checksum that they should have at their end.
    private func sealed(_ bytes: [UInt8]) -> MemoryBlock {
        let body = bytes.dropLast(4)
        let checksum = Array(body).withUnsafeBytes { crc32c($0) }
        return MemoryBlock(
            copying: body + withUnsafeBytes(of: checksum.littleEndian) { Array($0) })
    }

    /// `docs/file-formats.md` has these bytes.
    @Test func theManifestHasTheseBytes() throws {
        let block = try #require(manifest.encode())
        #expect(block.count == 41 + 2 * 57 + (2 + 1) * 8 + 4)
        let all = bytes(block)
        #expect(Array(all.prefix(12)) == Array("CWSEGMTS".utf8) + [1, 0, 0, 0])
        #expect(all[12..<24] == [0x84, 3, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0])
        #expect(all[24..<41] == [1, 5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0])
        #expect(all[41..<50] == [1, 0, 0, 0, 0, 0, 0, 0, 1])
        #expect(all[98..<106] == [0xF7, 255, 255, 255, 255, 255, 255, 255])
        #expect(all[106..<114] == [0x1F, 0, 0, 0, 0, 0, 0, 0])
        #expect(try SegmentManifest(block) == manifest)
    }

    @Test func aManifestThatIsCutOrFlippedIsRefused() throws {
        let all = bytes(try #require(manifest.encode()))
        for length in 0..<all.count {
            #expect(throws: SegmentProblem.self) {
                try SegmentManifest(MemoryBlock(copying: Array(all[..<length])))
            }
        }
        for byte in all.indices {
            var flipped = all
            flipped[byte] ^= 1
            #expect(throws: SegmentProblem.self) {
                try SegmentManifest(MemoryBlock(copying: flipped))
            }
        }
    }

    /// Under a checksum that is right, too, whatever the bytes are.
    @Test func forgedManifestsNeverTrap() throws {
        let all = bytes(try #require(manifest.encode()))
        var random = SplitMix64(seed: 1)
        var accepted = 0
        for _ in 0..<20_000 {
            var forged = all
            for _ in 0...random.below(4) {
                let value = [0, 1, 127, 128, 255, UInt8(random.below(256))][random.below(6)]
                forged[12 + random.below(all.count - 16)] = value
            }
            if random.below(8) == 0 { forged.removeLast(random.below(forged.count - 16)) }
            guard let manifest = try? SegmentManifest(sealed(forged)) else { continue }
            accepted += 1
            #expect(try SegmentManifest(try #require(manifest.encode())) == manifest)
        }
        #expect(accepted > 0)
        // A bit behind the last point, a count that no file holds, one segment twice.
        for (byte, value) in [(113, UInt8(0x80)), (97, 0x7F), (41 + 73, 1)] {
            var forged = all
            forged[byte] = value
            #expect(throws: SegmentProblem.self) { try SegmentManifest(sealed(forged)) }
        }
    }

    @Test func placesRoundTrip() throws {
        let offsets: [Int64] = [0, 5, 3, 1 << 50]
        let (block, checksum) = SegmentPlaces.encode(offsets, number: 6)
        #expect(try SegmentPlaces.decode(block, number: 6, count: 4) == offsets)
        let all = bytes(block)
        #expect(all.count == 28 + 32 + 4)
        #expect(all.suffix(4) == withUnsafeBytes(of: checksum.littleEndian) { Array($0) })
        #expect(throws: SegmentProblem.self) {
            try SegmentPlaces.decode(block, number: 7, count: 4)
        }
        for count in [0, 3, 5, Int.max, Int.max / 8] {
            #expect(throws: SegmentProblem.self) {
                try SegmentPlaces.decode(block, number: 6, count: count)
            }
        }
        for byte in all.indices {
            var flipped = all
            flipped[byte] ^= 0x10
            #expect(throws: SegmentProblem.self) {
                try SegmentPlaces.decode(MemoryBlock(copying: flipped), number: 6, count: 4)
            }
            #expect(throws: SegmentProblem.self) {
                try SegmentPlaces.decode(
                    MemoryBlock(copying: Array(all[..<byte])), number: 6, count: 4)
            }
        }
        var negative = all
        negative[35] = 0x80
        #expect(throws: SegmentProblem.self) {
            try SegmentPlaces.decode(sealed(negative), number: 6, count: 4)
        }
    }

    /// Whatever else lies in the folder stays, and what a sealing has left goes.
    @Test func onlyOwnGarbageIsRemoved() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var collection = try await database.collection("points", PointModel.configuration())
        try await collection.upsert([Point(id: 1, vector: [1, 2, 3, 4, 5, 6])])
        try await collection.seal()
        try await database.close()
        let folder = try StoragePath.root.appending("collections").appending("points")
            .appending("segments")
        let sealed = storage.files.filter { $0.parent == folder }.map { $0.names.last! }
        let places = try #require(sealed.first { $0.hasSuffix(".places") })
        let high = "03000000000000000000"
        let garbage = [
            "00000000000000000007.vectors", "00000000000000000007.vectors.new",
            "\(high).places", "manifest.new", "\(places).new",
            "00000000000000000007.vectors.rows", "00000000000000000007.vectors.pieces",
        ]
        let others = [
            "00000000000000000007.old", "7.vectors", "notes", "99999999999999999999.vectors",
        ]
        for name in garbage + others {
            await (try storage.open(try folder.appending(name), .create)).close()
        }
        database = try await Database.open(on: storage)
        collection = try await database.collection(named: "points")
        let left = Set(storage.files.filter { $0.parent == folder }.map { $0.names.last! })
        #expect(sealed.count == 3)
        #expect(left == Set(others + sealed))
        // A number that was seen is not used again; one that nobody can have given is not believed.
        try await collection.upsert([Point(id: 2, vector: [1, 2, 3, 4, 5, 6])])
        try await collection.seal(merging: .all)
        let number = try #require(await collection.segments.first?.number)
        #expect(number > Int64(places.prefix(20))! && number < 1 << 40)
        #expect(database.recovery.notes.isEmpty)
        try await database.close()
    }

    /// A sealing that lives on after its machine went down tidies up when another database is at work
    /// in the folder: it finds none of that one's files.
    @Test func whatLivesOnRemovesNoFileOfTheNext() async throws {
        let storage = SimulatedStorage(seed: 1)
        let first = try await Database.open(on: storage)
        let dead = try await first.collection("points", PointModel.configuration())
        let vector: [Float] = [1, 2, 3, 4, 5, 6]
        try await dead.upsert([Point(id: 1, vector: vector)])
        storage.holdCompletions(of: [.rename])
        let sealing = Task { try await dead.seal() }
        await storage.waitForHeld()
        storage.holdCompletions(of: [.unlink])
        storage.crash(.dropUnsynced)
        // It has failed, and is about to remove what it has written.
        await storage.waitForHeld()
        let second = try await Database.open(on: storage)
        let collection = try await second.collection(named: "points")
        try await collection.seal()
        let files = storage.files.filter { $0.names.contains("segments") }
        #expect(files.count == 3)
        storage.releaseCompletions()
        await #expect(throws: DatabaseError.self) { try await sealing.value }
        #expect(storage.files.filter { $0.names.contains("segments") } == files)
        try await second.close()
        let third = try await Database.open(on: storage)
        #expect(try await third.collection(named: "points").count == 1)
        #expect(third.recovery.notes.isEmpty)
        try await third.close()
    }

    /// A database that is let go of without being closed is not open to others while a collection of it
    /// can seal, or still does.
    @Test func whoSealsHoldsTheLock() async throws {
        let storage = SimulatedStorage(seed: 1)
        var first: Database? = try await Database.open(on: storage)
        var collection = try await first?.collection("points", PointModel.configuration())
        try await collection?.upsert([Point(id: 1, vector: [1, 2, 3, 4, 5, 6])])
        weak let registry = first?.registry as AnyObject?
        storage.holdCompletions(of: [.rename])
        let sealing = Task { [collection] in try await collection?.seal() }
        await storage.waitForHeld()
        first = nil
        collection = nil
        try await eventually("released") { registry == nil }
        await #expect(throws: StorageError.self) {
            try await storage.lock(StoragePath.root.appending("LOCK"))
        }
        storage.releaseCompletions()
        try await sealing.value
        try await eventually("let go") {
            (try? await storage.lock(StoragePath.root.appending("LOCK"))) != nil
        }
        let second = try await Database.open(on: storage)
        #expect(await (try second.collection(named: "points")).segments.count == 1)
        try await second.close()
    }
}

extension RawSpan {
    fileprivate var array: [UInt8] { withUnsafeBytes { Array($0) } }
}
