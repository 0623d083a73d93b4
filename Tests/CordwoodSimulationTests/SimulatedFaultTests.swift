import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite struct SimulatedFaultTests {
    @Test func aFailedSyncKeepsTheCacheAndIsNeverMadeGood() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [UInt8](repeating: 1, count: 1024))
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        let error = await failure { try await file.write(fill(2, 512), thenSync: true) }
        #expect(error?.code == .failed && error?.errno == 5 && error?.operation == "fdatasync")
        #expect(try await file.read(at: 0, count: 1).array == [2], "still readable")
        // Reported once: the next sync succeeds, and has not saved what the first one lost.
        try await file.write(fill(3, 512, at: 512), thenSync: true)
        #expect(
            try storage.durableContents(of: path("a"))
                == [UInt8](repeating: 1, count: 512) + [UInt8](repeating: 3, count: 512))
        storage.dropCaches()
        #expect(try await file.read(at: 0, count: 1).array == [1])
        // Written again, it is dirty again: memory pressure does not touch it and a sync saves it.
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        #expect(await failure { try await file.write(fill(2, 512), thenSync: true) } != nil)
        try await file.write(fill(4, 512), thenSync: false)
        storage.dropCaches()
        #expect(try await file.read(at: 0, count: 1).array == [4])
        try await file.sync()
        #expect(try storage.durableContents(of: path("a"))?.first == 4)
    }

    @Test func aSizeThatAFailedSyncLostIsNotMadeGoodEither() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1])
        storage.inject(Fault(.noSpace, at: 1, of: .sync))
        #expect(
            await failure { try await file.write(fill(2, 100, at: 1), thenSync: true) }?.code
                == .noSpace)
        try await file.sync()
        #expect(try storage.durableContents(of: path("a")) == [1])
    }

    /// The zeros of a gap are new contents, also where a failed sync lost an earlier cut.
    @Test func aWritePastALostCutSavesTheGap() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [UInt8](repeating: 9, count: 5000))
        try await file.truncate(to: 100)
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        #expect(await failure { try await file.sync() } != nil)
        try await file.write(fill(1, 100, at: 4900), thenSync: true)
        let expected = try storage.contents(of: path("a"))
        #expect(expected == (0..<5000).map { $0 < 100 ? 9 : $0 < 4900 ? 0 : 1 })
        #expect(try storage.durableContents(of: path("a")) == expected)
    }

    /// A directory whose name a failed sync has lost is durable once it is made anew.
    @Test func aDirectoryThatIsMadeAnewHasANewName() async throws {
        let storage = try await storageWithALostName()
        #expect(
            await failure { try await storage.removeDirectory(path("a")) }?.code == .notEmpty)
        try await storage.removeDirectory(path("a/b"))
        try await storage.removeDirectory(path("a"))
        #expect(try await namesAfterMakingItAgain(storage) == ["a"])
    }

    @Test func aDirectoryThatIsThereKeepsItsLostName() async throws {
        #expect(try await namesAfterMakingItAgain(storageWithALostName()) == [])
    }

    /// A storage with a directory whose name was lost by a failed sync.
    private func storageWithALostName() async throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: 1)
        try await storage.createDirectory(path("a/b"))
        storage.inject(Fault(.inputOutput, at: 1, of: .syncDirectory))
        #expect(await failure { try await storage.syncDirectory(.root) } != nil)
        return storage
    }

    /// What is left of the root once the directory was made, synced and the power cut.
    private func namesAfterMakingItAgain(_ storage: SimulatedStorage) async throws -> [String] {
        try await storage.createDirectory(path("a"))
        try await storage.syncDirectory(.root)
        storage.crash(.dropUnsynced)
        return try await storage.entries(of: .root).map(\.name)
    }

    @Test func aFailedDirectorySyncIsNotMadeGood() async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await storage.open(path("a"), .create)
        storage.inject(Fault(.inputOutput, at: 1, of: .syncDirectory))
        #expect(await failure { try await storage.syncDirectory(.root) }?.code == .failed)
        try await storage.syncDirectory(.root)
        #expect(storage.files.count == 1)
        storage.crash(.dropUnsynced)
        #expect(storage.files.isEmpty)
    }

    @Test func ignoredOperationsSucceedAndDoNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1, 1])
        storage.inject(Fault(.ignored, at: 1, of: .write))
        try await file.write(bytes([2]), thenSync: true)
        #expect(try storage.contents(of: path("a")) == [1, 1])
        storage.inject(Fault(.ignored, at: 1, of: .sync))
        try await file.write(bytes([3]), thenSync: true)
        #expect(try storage.durableContents(of: path("a")) == [1, 1])
        storage.inject(Fault(.ignored, at: 1, of: .syncDirectory))
        try await storage.remove(path("a"))
        try await storage.syncDirectory(.root)
        storage.crash(.dropUnsynced)
        #expect(storage.files.count == 1)
    }

    /// Every operation of a workload in turn, once and for good.
    @Test(arguments: [false, true])
    func operationKFails(isPersistent: Bool) async throws {
        func workload(_ storage: SimulatedStorage, _ done: inout Int) async throws {
            try await storage.createDirectory(path("d"))
            done += 1
            let file = try await storage.open(path("d/a"), .create)
            done += 1
            try await file.preallocate(to: 2048)
            done += 1
            try await file.write(fill(1, 600), thenSync: false)
            done += 1
            try await file.sync()
            done += 1
            _ = try await file.read(at: 0, count: 10)
            done += 1
            _ = try await file.map(count: 10)
            done += 1
            try await file.truncate(to: 600)
            done += 1
            try await storage.rename(path("d/a"), to: path("d/b"))
            done += 1
            try await storage.syncDirectory(path("d"))
            done += 1
            _ = try await storage.entries(of: path("d"))
            done += 1
            try await storage.remove(path("d/b"))
            done += 1
        }
        let clean = SimulatedStorage(seed: 5)
        var steps = 0
        try await workload(clean, &steps)
        #expect(clean.counts.total == steps)
        for k in 1...steps {
            let storage = SimulatedStorage(seed: 5)
            storage.inject(Fault(.inputOutput, at: k, isPersistent: isPersistent))
            var done = 0
            await #expect(throws: StorageError.self) { try await workload(storage, &done) }
            #expect(done == k - 1)
            #expect(storage.trace.last?.failure == .failed)
            let again = await failure { _ = try await storage.entries(of: .root) }
            #expect((again != nil) == isPersistent)
            storage.clearFaults()
            _ = try await storage.entries(of: .root)
        }
    }

    @Test func faultsOfOneKindCountThatKindOnly() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.open(path("a"), .create)
        storage.inject(Fault(.inputOutput, at: 3, of: .sync))
        for number in 1...4 {
            let error = await failure { try await file.write(bytes([1]), thenSync: true) }
            #expect((error != nil) == (number == 3))
        }
    }

    @Test func aFailedWriteLeavesSomePrefix() async throws {
        var lengths: Set<Int> = []
        for seed in 0..<50 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.open(path("a"), .create)
            storage.inject(Fault(.inputOutput, at: 1, of: .write))
            #expect(await failure { try await file.write(fill(7, 3), thenSync: true) } != nil)
            let contents = try #require(try storage.contents(of: path("a")))
            #expect(contents.allSatisfy { $0 == 7 })
            #expect(try await file.size() == contents.count)
            lengths.insert(contents.count)
        }
        #expect(lengths == [0, 1, 2, 3])
    }

    @Test func aFullDiskRefusesGrowthAndResumesWithRoom() async throws {
        let storage = SimulatedStorage(seed: 1, capacityBytes: 1000)
        let file = try await storage.open(path("a"), .create)
        try await file.write(fill(1, 900), thenSync: true)
        let error = await failure { try await file.write(fill(2, 200, at: 900), thenSync: true) }
        #expect(error?.code == .noSpace && error?.errno == 28)
        #expect(storage.usedBytes == 1000)
        #expect(await failure { try await file.preallocate(to: 1001) }?.code == .noSpace)
        try await file.write(fill(3, 1000), thenSync: true)
        storage.capacityBytes = 1001
        try await file.preallocate(to: 1001)
        // Space of a removed file comes back with its last handle.
        try await storage.remove(path("a"))
        #expect(storage.usedBytes == 1001)
        await file.close()
        #expect(storage.usedBytes == 0)
        storage.crash(.bySeed)
        #expect(storage.usedBytes == storage.files.count * 1001)
    }

    @Test func damageHitsCachedAndDurableBytes() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1, 2, 3, 4])
        try storage.flip(path("a"), byte: 1, mask: 0x80)
        try storage.zero(path("a"), 2..<9)
        let damaged: [UInt8] = [1, 0x82, 0, 0]
        #expect(try await file.read(at: 0, count: 4).array == damaged)
        #expect(try storage.durableContents(of: path("a")) == damaged)
        try storage.cut(path("a"), to: 1)
        storage.crash()
        #expect(try storage.contents(of: path("a")) == [1])
        #expect(storage.usedBytes == 1)
        #expect(throws: StorageError.self) { try storage.flip(path("b"), byte: 0) }
    }
}
