import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite(.timeLimit(.minutes(30))) struct HeldCompletionsTests {
    @Test func heldWritesTakeEffectInOrderOnRelease() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [0])
        storage.holdCompletions()
        var tasks: [Task<Void, any Error>] = []
        for number in 1...10 as ClosedRange<UInt8> {
            tasks.append(Task { try await file.write(bytes([number]), thenSync: true) })
            await storage.waitForHeld(Int(number))
        }
        #expect(storage.heldCount == 10)
        #expect(try storage.contents(of: path("a")) == [0])
        // Reads, names and sizes do not wait.
        #expect(try await file.size() == 1)
        _ = try await storage.open(path("b"), .create)
        #expect(storage.completeHeld(3) == 3)
        #expect(try storage.contents(of: path("a")) == [3])
        storage.releaseCompletions()
        for task in tasks { try await task.value }
        #expect(try storage.durableContents(of: path("a")) == [10])
        try await file.write(bytes([11]), thenSync: false)
        #expect(storage.heldCount == 0)
    }

    @Test func onlyTheNamedKindsAreHeld() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.open(path("a"), .create)
        storage.holdCompletions(of: [.syncDirectory])
        try await file.write(bytes([1]), thenSync: true)
        async let synced: Void = storage.syncDirectory(.root)
        await storage.waitForHeld()
        #expect(try storage.durableContents(of: path("a")) == nil)
        storage.releaseCompletions()
        try await synced
        #expect(try storage.durableContents(of: path("a")) == [1])
    }

    /// A held call may have reached the disk when the power goes, and is never acknowledged.
    @Test func aCrashEndsHeldCalls() async throws {
        var survivors: Set<[UInt8]> = []
        for seed in 0..<50 as Range<UInt64> {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.durableFile("a", [0])
            storage.holdCompletions()
            let write = Task { try await file.write(bytes([1]), thenSync: true) }
            await storage.waitForHeld()
            storage.crash(seed % 5 == 0 ? .dropUnsynced : .bySeed)
            #expect(await failure { try await write.value }?.code == .closed)
            let left = try #require(try storage.contents(of: path("a")))
            if seed % 5 == 0 { #expect(left == [0]) }
            survivors.insert(left)
        }
        #expect(survivors == [[0], [1]])
    }

    @Test func waitingEndsWithCancellation() async {
        let storage = SimulatedStorage(seed: 1)
        for _ in 0..<50 {
            let wait = Task { await storage.waitForHeld() }
            wait.cancel()
            await wait.value
        }
    }

    /// The file is gone for everybody else when the held write is done.
    @Test func aHeldWriteToARemovedAndClosedFileTakesNoSpace() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.open(path("a"), .create)
        storage.holdCompletions()
        let write = Task { try await file.write(bytes([1, 2]), thenSync: true) }
        await storage.waitForHeld()
        try await storage.remove(path("a"))
        await file.close()
        storage.releaseCompletions()
        try await write.value
        #expect(storage.usedBytes == 0)
    }

    @Test func faultsHitHeldCallsWhenTheyAreDone() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.open(path("a"), .create)
        storage.holdCompletions()
        let sync = Task { try await file.sync() }
        await storage.waitForHeld()
        storage.inject(Fault(.inputOutput, at: 1))
        storage.releaseCompletions()
        #expect(await failure { try await sync.value }?.code == .failed)
    }
}
