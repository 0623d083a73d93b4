import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite(.timeLimit(.minutes(30))) struct SimulatedStorageTests {
    @Test func openModes() async throws {
        let storage = SimulatedStorage(seed: 1)
        let a = try path("a")
        #expect(await failure { _ = try await storage.open(a, .read) }?.code == .notFound)
        #expect(await failure { _ = try await storage.open(a, .readWrite) }?.code == .notFound)
        _ = try await storage.open(a, .openOrCreate)
        _ = try await storage.open(a, .openOrCreate)
        #expect(await failure { _ = try await storage.open(a, .create) }?.code == .exists)
        let reader = try await storage.open(a, .read)
        #expect(await failure { try await reader.write(bytes([1]), thenSync: false) }?.errno == 9)
        #expect(await failure { try await reader.truncate(to: 0) }?.errno == 9)
        #expect(await failure { try await reader.preallocate(to: 1) }?.errno == 9)
        try await storage.createDirectory(path("d"))
        #expect(await failure { _ = try await storage.open(path("d"), .read) }?.code == .wrongKind)
        #expect(
            await failure { _ = try await storage.open(path("a/b"), .create) }?.code != nil)
        #expect(
            await failure { _ = try await storage.open(path("x/b"), .create) }?.code == .notFound)
    }

    @Test func namesAreListedRenamedAndRemoved() async throws {
        let storage = SimulatedStorage(seed: 1)
        try await storage.createDirectory(path("d/e"))
        try await storage.createDirectory(path("d/e"))
        for name in ["c", "a", "b"] { _ = try await storage.open(path("d/\(name)"), .create) }
        try await storage.rename(path("d/a"), to: path("z"))
        try await storage.rename(path("z"), to: path("z"))
        try await storage.remove(path("d/b"))
        #expect(
            try await storage.entries(of: path("d")) == [
                DirectoryEntry(name: "c", kind: .file),
                DirectoryEntry(name: "e", kind: .directory),
            ])
        #expect(storage.files.map(\.description) == ["d/c", "z"])
        #expect(await failure { try await storage.remove(path("d/b")) }?.code == .notFound)
        #expect(await failure { try await storage.remove(path("d/e")) }?.code == .wrongKind)
        #expect(
            await failure { try await storage.rename(path("q"), to: path("r")) }?.code == .notFound)
        #expect(
            await failure { _ = try await storage.entries(of: path("z")) }?.code == .wrongKind)
        #expect(await failure { try await storage.syncDirectory(path("q")) }?.code == .notFound)
    }

    @Test func aLockHasOneHolder() async throws {
        let storage = SimulatedStorage(seed: 1)
        let place = try path("lock")
        do {
            let lock = try await storage.lock(place)
            #expect(await failure { _ = try await storage.lock(place) }?.code == .locked)
            withExtendedLifetime(lock) {}
        }
        _ = try await storage.lock(place)
    }

    @Test func aClosedFileRefusesAndAMapOutlivesIt() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1, 2, 3])
        let map = try await file.map(count: 2)
        #expect(await failure { _ = try await file.map(count: 4) }?.code == .failed)
        #expect(try await file.read(at: 2, count: 5).array == [3])
        #expect(try await file.read(at: 9, count: 5).count == 0)
        await file.close()
        await file.close()
        #expect(await failure { _ = try await file.size() }?.code == .closed)
        #expect(map.array == [1, 2])
    }

    @Test func aRemovedFileLivesUntilItIsClosed() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1, 2, 3])
        try await storage.remove(path("a"))
        try await storage.syncDirectory(.root)
        try await file.write(bytes([4], at: 3), thenSync: true)
        #expect(try await file.read(at: 0, count: 9).array == [1, 2, 3, 4])
        #expect(storage.usedBytes == 4)
    }

    @Test func aHugePreallocatedFileCostsNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.open(path("a"), .create)
        let elapsed = try await ContinuousClock().measure {
            try await storage.syncDirectory(.root)
            try await file.preallocate(to: 1 << 40)
            try await file.write(fill(1, 100_000, at: 5000), thenSync: true)
            storage.crash()
            let reopened = try await storage.open(path("a"), .readWrite)
            #expect(try await reopened.size() == 1 << 40)
            try await reopened.truncate(to: 50_000)
            try await reopened.preallocate(to: 1 << 40)
            try await reopened.truncate(to: 60_000)
            try await reopened.sync()
        }
        #expect(elapsed < .seconds(5))
        storage.crash(.dropUnsynced)
        let contents = try #require(try storage.contents(of: path("a")))
        let expected = (0..<60_000).map { (5000..<50_000).contains($0) ? 1 : 0 as UInt8 }
        #expect(contents == expected)
    }

    @Test func countsAndTrace() async throws {
        let storage = SimulatedStorage(seed: 1)
        let file = try await storage.durableFile("a", [1, 2, 3])
        _ = try await file.read(at: 1, count: 2)
        #expect(storage.counts.writes == 1 && storage.counts.syncs == 1)
        #expect(storage.counts.directorySyncs == 1 && storage.counts[.open] == 1)
        #expect(storage.counts.bytesWritten == 3 && storage.counts.bytesRead == 2)
        #expect(
            storage.trace.map(\.kind) == [.open, .write, .sync, .syncDirectory, .read])
    }

    @Test func sameSeedSameBytesAndHash() async throws {
        func run(_ seed: UInt64, last: UInt8) async throws -> (UInt64, [UInt8]?) {
            let storage = SimulatedStorage(seed: seed)
            let file = try await storage.durableFile("a", [UInt8](repeating: 1, count: 20_000))
            try await file.write(fill(2, 15_000), thenSync: false)
            storage.crash()
            let again = try await storage.open(path("a"), .readWrite)
            try await again.write(bytes([last]), thenSync: true)
            return (storage.traceHash, try storage.contents(of: path("a")))
        }
        let first = try await run(1, last: 9)
        for _ in 0..<20 { #expect(try await run(1, last: 9) == first) }
        let otherSeed = try await run(2, last: 9)
        #expect(otherSeed.0 != first.0 && otherSeed.1 != first.1)
        #expect(try await run(1, last: 8).0 != first.0, "the bytes written count")
    }

    @Test func anActorOnTheExecutorRunsOnItsOneThread() async throws {
        actor Writer {
            let storage: SimulatedStorage
            private var order: [Int] = []
            nonisolated var unownedExecutor: UnownedSerialExecutor {
                storage.executor.asUnownedSerialExecutor()
            }
            init(_ storage: SimulatedStorage) { self.storage = storage }
            func append(_ number: Int, to file: SimulatedFile) async throws -> [Int] {
                try await file.write(bytes([UInt8(number)], at: number), thenSync: true)
                storage.executor.checkIsolated()
                order.append(number)
                return order
            }
        }
        let storage = SimulatedStorage(seed: 1)
        #expect(storage.ownedThreads == 0)
        let file = try await storage.open(path("a"), .create)
        let writer = Writer(storage)
        for number in 0..<5 {
            #expect(try await writer.append(number, to: file) == Array(0...number))
        }
        #expect(storage.ownedThreads == 1)
        #expect(await storage.offload { 6 * 7 } == 42)
        let error = await failure {
            try await storage.offload { () throws(StorageError) in
                throw StorageError(.failed, operation: "x", path: "y")
            }
        }
        #expect(error?.operation == "x")
    }

    @Test func theClockGoesWhereItIsSet() {
        let clock = SimulatedClock(milliseconds: 5)
        let storage = SimulatedStorage(seed: 1, clock: clock)
        clock.advance(milliseconds: -10)
        #expect(storage.clock.millisecondsNow() == -5)
        clock.set(milliseconds: .max)
        clock.advance(milliseconds: 1)
        #expect(clock.millisecondsNow() == .max)
    }

    @Test func splitMix64GivesThePublishedNumbers() {
        var random = SplitMix64(seed: 1_234_567)
        #expect(
            (0..<3).map { _ in random.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            ])
        #expect((0..<1000).allSatisfy { _ in (0..<7).contains(random.below(7)) })
    }
}
