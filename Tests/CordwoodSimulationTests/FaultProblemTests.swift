import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite struct FaultProblemTests {
    /// However a write is cut up, the caller sees one that succeeded, and every call counts.
    @Test func shortAndInterruptedWritesAreFinished() async throws {
        for seed in UInt64(0)..<50 {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.open(path("a"), .create)
            storage.inject(Fault(.short, at: 1))
            storage.inject(Fault(.short, at: 2))
            storage.inject(Fault(.interrupted, at: 3))
            let contents = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
            let gathered = [
                FileWrite(
                    at: 100,
                    [
                        MemorySlice(MemoryBlock(copying: contents), 0..<300),
                        MemorySlice(MemoryBlock(copying: contents), 300..<1000),
                    ]),
                FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: contents), 0..<50)]),
            ]
            try await file.write(gathered, thenSync: true)
            try await storage.syncDirectory(.root)
            let expected =
                Array(contents[..<50]) + [UInt8](repeating: 0, count: 50) + contents
            #expect(try storage.durableContents(of: path("a")) == expected, "seed \(seed)")
            #expect(storage.counts.writes > 2, "seed \(seed)")
        }
    }

    /// The rest of a short write may find the disk broken.
    @Test func theRestOfAShortWriteCanFail() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [UInt8](repeating: 0, count: 100))
        storage.inject(Fault(.short, at: 1))
        storage.inject(Fault(.inputOutput, at: 2, of: .write))
        #expect(await failure { try await file.write(fill(1, 100), thenSync: true) }?.errno == 5)
        #expect(try storage.durableContents(of: path("a")) == [UInt8](repeating: 0, count: 100))
    }

    @Test func anInterruptedReadIsDoneAgain() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1, 2, 3])
        storage.inject(Fault(.interrupted, at: 1, of: .read))
        #expect(try await file.read(at: 0, count: 3).array == [1, 2, 3])
        #expect(storage.counts[.read] == 2)
    }

    @Test func whatIsCancelledDidNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1])
        storage.inject(Fault(.cancelled, at: 1))
        #expect(await failure { try await file.write(fill(2, 1), thenSync: true) }?.errno == 125)
        storage.inject(Fault(.cancelled, at: 1, of: .sync))
        #expect(await failure { try await file.write(fill(3, 1), thenSync: true) }?.errno == 125)
        #expect(try storage.contents(of: path("a")) == [3])
        // Unlike a sync that failed, it has taken nothing with it.
        try await file.sync()
        #expect(try storage.durableContents(of: path("a")) == [3])
        storage.holdCompletions(of: [.write])
        let held = Task { await failure { try await file.write(fill(4, 1), thenSync: false) } }
        await storage.waitForHeld()
        #expect(storage.cancelHeld() == 1)
        #expect(await held.value?.errno == 125)
        #expect(try storage.contents(of: path("a")) == [3])
    }

    @Test func aMisdirectedWriteLandsElsewhereInTheFile() async throws {
        for seed in UInt64(0)..<50 {
            let storage = SimulatedStorage(seed: seed)
            let before = [UInt8](repeating: 0, count: 4096)
            let file = try await storage.durableFile("a", before)
            storage.inject(Fault(.misdirected, at: 1))
            try await file.write(fill(7, 512, at: 1024), thenSync: true)
            let after = try #require(try storage.durableContents(of: path("a")))
            #expect(after[1024..<1536].allSatisfy { $0 == 0 }, "seed \(seed)")
            #expect(after.count == 4096 && after.count { $0 == 7 } == 512, "seed \(seed)")
        }
    }

    /// Nothing works until the machine is up again, and then what survived is there.
    @Test func afterAPowerCutNothingWorks() async throws {
        for seed in UInt64(0)..<20 {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.durableFile("a", [UInt8](repeating: 1, count: 2048))
            storage.inject(Fault(.powerCut, at: 1))
            let error = await failure { try await file.write(fill(2, 2048), thenSync: true) }
            #expect(error?.code == .closed)
            #expect(storage.isDown)
            let count = storage.counts.total
            #expect(await failure { try await file.sync() }?.code == .closed)
            #expect(await failure { try await storage.remove(path("a")) }?.code == .closed)
            #expect(await failure { _ = try await storage.open(path("a"), .read) }?.code == .closed)
            #expect(storage.counts.total == count, "what comes too late is not counted")
            storage.crash(.bySeed)
            #expect(!storage.isDown)
            let contents = try #require(try storage.contents(of: path("a")))
            for sector in stride(from: 0, to: 2048, by: 512) {
                let bytes = Set(contents[sector..<sector + 512])
                #expect(bytes.isSubset(of: [1, 2]), "seed \(seed)")
            }
        }
    }

    @Test func aFaultForAllCountsOnlyWhatItMakesSenseFor() async throws {
        let storage = SimulatedStorage(seed: 1)
        storage.inject(Fault(.ignored, at: 2))
        // Creating is not counted, the write is, the sync is ignored.
        let file = try await storage.open(path("a"), .create)
        try await file.write(fill(1, 1), thenSync: true)
        try await storage.syncDirectory(.root)
        #expect(try storage.durableContents(of: path("a")) == [])
    }
}
