import CCordwoodChecksum
import Cordwood
import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct DatabaseOpeningTests {
    private func expect(
        _ code: DatabaseError.Code, _ words: String, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("expected \(code)")
        } catch let error as DatabaseError {
            #expect(error.code == code, "\(error)")
            #expect("\(error)".contains(words), "\(error)")
        } catch { Issue.record(error) }
    }

    @Test func aFolderOfOtherThingsIsRefused() async throws {
        let folder = TemporaryDirectory()
        let descriptor = open(folder.path + "/notes.txt", O_CREAT | O_WRONLY, 0o644)
        close(descriptor)
        await expect(.notADatabase, "notes.txt") { _ = try await Database.open(at: folder.path) }
        #expect(access(folder.path + "/LOCK", F_OK) != 0)
        #expect(access(folder.path + "/CORDWOOD", F_OK) != 0)
    }

    @Test func aMissingOrEmptyFolderIsRefusedWhereADatabaseMustExist() async throws {
        let folder = TemporaryDirectory()
        await expect(.notADatabase, "CORDWOOD") {
            _ = try await Database.open(at: folder.path, .init(mode: .openExisting))
        }
        let missing = folder.path + "/missing"
        await expect(.notADatabase, missing) {
            _ = try await Database.open(at: missing, .init(mode: .openExisting))
        }
        #expect(access(missing, F_OK) != 0)
    }

    @Test func aSecondOpenerIsRefused() async throws {
        let folder = TemporaryDirectory()
        let first = try await Database.open(at: folder.path)
        await expect(.locked, "\(getpid())") { _ = try await Database.open(at: folder.path) }
        try await first.close()
        try await Database.open(at: folder.path).close()
    }

    @Test func aNewerFormatIsRefusedByName() async throws {
        let path = try StoragePath.root.appending("CORDWOOD")
        let storage = SimulatedStorage(seed: 1)
        try await Database.open(on: storage).close()
        try storage.flip(path, byte: 8, mask: 1)
        // A flipped bit is damage, and the error still says which version it would be.
        let damaged = storage.contents(of: path)
        await expect(.log, "version 3, expected 2") { _ = try await Database.open(on: storage) }
        #expect(storage.contents(of: path) == damaged)
        // A sound header of another version is a newer format.
        let header = try #require(storage.contents(of: path)).prefix(28)
        let checksum = header.withUnsafeBytes { cordwood_crc32c(0, $0.baseAddress, $0.count) }
        let file = try await storage.open(path, .readWrite)
        try await file.write(
            [FileWrite(at: 28, [MemorySlice(MemoryBlock(copying: bytes(of: checksum)))])],
            thenSync: true)
        let before = storage.contents(of: path)
        await expect(.newerFormat, "expected format version 2, found 3") {
            _ = try await Database.open(on: storage)
        }
        #expect(storage.contents(of: path) == before)
    }

    private func bytes(of checksum: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * $0)) }
    }

    @Test func unknownAndBadNames() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        await expect(.unknownTopic, "\"nothing\"") {
            _ = try await database.topic(named: "nothing")
        }
        await expect(.unknownCollection, "\"nothing\"") {
            _ = try await database.collection(named: "nothing")
        }
        let long = String(repeating: "a", count: 300)
        for name in ["..", ".", "", "a/b", "a\0b", "a\nb", "ä", long] {
            await expect(.invalidName, "") { _ = try await database.topic(name) }
            await expect(.invalidName, "") {
                _ = try await database.collection(name, .init(dimensions: 2, metric: .l2))
            }
        }
        #expect(database.topicNames.isEmpty)
        #expect(database.collectionNames.isEmpty)
        try await database.close()
        await expect(.closed, "closed") { _ = try await database.topic("late") }
    }

    @Test func configurationsAreChecked() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        _ = try await database.topic("orders", .init(partitions: 2))
        await expect(.configurationMismatch, "2 partitions, asked for 3") {
            _ = try await database.topic("orders", .init(partitions: 3))
        }
        await expect(.invalidConfiguration, "found 0") {
            _ = try await database.topic("none", .init(partitions: 0))
        }
        await expect(.invalidConfiguration, "segmentBytes") {
            _ = try await database.topic("tiny", .init(log: .init(segmentBytes: 10)))
        }
        _ = try await database.collection("notes", .init(dimensions: 3, metric: .l2))
        await expect(.configurationMismatch, "metric l2") {
            _ = try await database.collection("notes", .init(dimensions: 3, metric: .innerProduct))
        }
        for dimensions in [0, -1, 65_537, 1 << 32] {
            await expect(.invalidConfiguration, "found \(dimensions)") {
                _ = try await database.collection(
                    "bad", .init(dimensions: dimensions, metric: .l2))
            }
        }
        try await database.close()
    }

    /// Two callers that ask at once get the same topic, created once.
    @Test func openingIsSingleFlight() async throws {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topics = try await withThrowingTaskGroup(of: Topic.self) { tasks in
            for _ in 0..<16 { tasks.addTask { try await database.topic("orders") } }
            var topics: [Topic] = []
            for try await topic in tasks { topics.append(topic) }
            return topics
        }
        #expect(topics.allSatisfy { $0 === topics[0] })
        try await database.close()
    }

    /// Losing power at any moment leaves a database that opens, with all that was acknowledged.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func creationSurvivesACrash(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        let fault = Fault(.inputOutput, at: 1 + Int(seed), of: nil, isPersistent: true)
        storage.inject(fault)
        var created: [String] = []
        do {
            let database = try await Database.open(on: storage)
            for name in ["a", "b"] {
                _ = try await database.topic(name)
                created.append(name)
            }
        } catch {
            // The disk failed, as it was told to.
            #expect(error.cause != nil, "\(error)")
        }
        storage.crash()
        storage.clearFaults()
        let database = try await Database.open(on: storage)
        for name in created { #expect(database.topicNames.contains(name), "seed \(seed)") }
        for name in database.topicNames {
            let topic = try await database.topic(named: name)
            #expect(try await topic.verify().isSound, "seed \(seed)")
        }
        _ = try await database.topic("c").append([Record("still works")])
        try await database.close()
    }
}
