import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite struct SimulatedCrashTests {
    @Test func syncedBytesSurviveEveryCrash() async throws {
        for seed in 0..<100 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let contents = (0..<3000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            _ = try await storage.durableFile("a", contents)
            for crash in [Crash.bySeed, .keepAll, .dropUnsynced, .bySeed] {
                storage.crash(crash)
                #expect(try storage.contents(of: path("a")) == contents, "seed \(seed)")
            }
        }
    }

    @Test func everyUnsyncedSectorIsOldOrNewIndependently() async throws {
        var outcomes: Set<[Bool]> = []
        for seed in 0..<400 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.durableFile("a", [UInt8](repeating: 1, count: 4 * 512))
            try await file.write(fill(2, 4 * 512), thenSync: false)
            storage.crash()
            let survivors = try #require(try storage.contents(of: path("a")))
            try #require(survivors.count == 4 * 512)
            let sectors = (0..<4).map { Array(survivors[$0 * 512..<($0 + 1) * 512]) }
            for sector in sectors { #expect(Set(sector).count == 1, "torn inside, seed \(seed)") }
            outcomes.insert(sectors.map { $0[0] == 2 })
        }
        #expect(outcomes.count == 16, "all combinations of four sectors occur")
    }

    @Test func anEntryWithoutDirectorySyncMayVanish() async throws {
        var survived: Set<Bool> = []
        for seed in 0..<50 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.open(path("a"), .create)
            try await file.write(fill(1, 100), thenSync: true)
            #expect(try storage.durableContents(of: path("a")) == nil)
            storage.crash()
            survived.insert(!storage.files.isEmpty)
        }
        #expect(survived == [false, true])
    }

    @Test func aDirectoryIsLostWithItsParentUnsynced() async throws {
        let storage = SimulatedStorage(seed: 1)
        try await storage.createDirectory(path("d/e"))
        _ = try await storage.durableFile("d/e/a", [1])
        try await storage.syncDirectory(path("d"))
        storage.crash(.dropUnsynced)
        #expect(storage.files.isEmpty)
        #expect(try await storage.entries(of: .root).isEmpty)
        try await storage.createDirectory(path("d"))
        _ = try await storage.durableFile("d/a", [1])
        try await storage.syncDirectory(.root)
        storage.crash(.dropUnsynced)
        #expect(try storage.contents(of: path("d/a")) == [1])
    }

    @Test func anUnsyncedSizeMayPersistOrNot() async throws {
        var sizes: Set<Int> = []
        for seed in 0..<100 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.durableFile("a", [1])
            try await file.preallocate(to: 8192)
            try await file.truncate(to: 4096)
            storage.crash()
            sizes.insert(try storage.contents(of: path("a"))?.count ?? -1)
        }
        #expect(sizes == [1, 4096, 8192])
    }

    @Test func aCutAndRegrownTailReadsAsZerosAndOldBytesMayReturnOnlyUnsynced() async throws {
        let storage = SimulatedStorage(seed: 3)
        let file = try await storage.durableFile("a", [UInt8](repeating: 9, count: 5000))
        try await file.truncate(to: 100)
        try await file.preallocate(to: 5000)
        let expected =
            [UInt8](repeating: 9, count: 100) + [UInt8](repeating: 0, count: 4900)
        #expect(try storage.contents(of: path("a")) == expected)
        try await file.sync()
        storage.crash()
        #expect(try storage.contents(of: path("a")) == expected)
    }

    @Test func aReplacingRenameLeavesOldOrNewAndOnceDurableNew() async throws {
        var seen: Set<[UInt8]> = []
        for seed in 0..<100 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            _ = try await storage.durableFile("a", [1])
            _ = try await storage.durableFile("b", [2])
            try await storage.rename(path("b"), to: path("a"))
            // A later file of the freed name must not make the renamed one vanish.
            _ = try await storage.open(path("b"), .create)
            storage.crash()
            let target = try #require(try storage.contents(of: path("a")))
            seen.insert(target)
            if target == [1] { #expect(try storage.contents(of: path("b")) == [2]) }

            let again = SimulatedStorage(seed: seed)
            _ = try await again.durableFile("a", [1])
            _ = try await again.durableFile("b", [2])
            try await again.rename(path("b"), to: path("a"))
            try await again.syncDirectory(.root)
            again.crash()
            #expect(try again.contents(of: path("a")) == [2])
            #expect(try again.contents(of: path("b")) == nil)
        }
        #expect(seen == [[1], [2]])
    }

    @Test func anUnsyncedRemovalMayComeBackWithItsBytes() async throws {
        var survived: Set<[UInt8]?> = []
        for seed in 0..<50 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            _ = try await storage.durableFile("a", [1])
            try await storage.remove(path("a"))
            storage.crash()
            survived.insert(try storage.contents(of: path("a")))
        }
        #expect(survived == [nil, [1]])
    }

    @Test func aFileThatOnlyACrashCanBringBackIsKept() async throws {
        var survived: Set<[UInt8]?> = []
        for seed in 0..<50 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            try await storage.createDirectory(path("d"))
            let file = try await storage.open(path("a"), .create)
            try await file.write(bytes([1]), thenSync: true)
            try await storage.remove(path("a"))
            await file.close()
            try await storage.syncDirectory(path("d"))
            storage.crash()
            #expect(storage.files.count == (try storage.contents(of: path("a")) == nil ? 0 : 1))
            survived.insert(try storage.contents(of: path("a")))
        }
        #expect(survived == [nil, [1]])
    }

    @Test func handlesAndLocksDieAtACrash() async throws {
        for crash in [Crash.bySeed, .dropUnsynced, .keepAll] {
            let storage = SimulatedStorage(seed: 1)
            let file = try await storage.durableFile("a", [1])
            let lock = try await storage.lock(path("lock"))
            storage.crash(crash)
            #expect(await failure { _ = try await file.size() }?.code == .closed)
            #expect(
                await failure { try await file.write(bytes([2]), thenSync: true) }?.code == .closed)
            #expect(await failure { _ = try await file.map(count: 1) }?.code == .closed)
            let second = try await storage.lock(path("lock"))
            withExtendedLifetime(lock) {}
            withExtendedLifetime(second) {}
            let reopened = try await storage.open(path("a"), .readWrite)
            #expect(try await reopened.read(at: 0, count: 9).array == [1])
            // The dead handle's release must not close the new one's file.
            try await storage.remove(path("a"))
            await file.close()
            #expect(storage.usedBytes == 1)
            await reopened.close()
            #expect(storage.usedBytes == 0)
        }
    }

    @Test func aKilledProcessLosesNothingButALaterPowerCutDoes() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.open(path("a"), .create)
        try await file.write(bytes([1, 2, 3]), thenSync: false)
        storage.crash(.keepAll)
        #expect(try storage.contents(of: path("a")) == [1, 2, 3])
        storage.crash(.dropUnsynced)
        #expect(storage.files.isEmpty)
    }
}
