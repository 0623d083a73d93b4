import CordwoodSimulation
import CordwoodStorage
import Testing

// What docs/simulation.md shows. It stands for a server's own test, so it has only what is public.
@Suite struct ExampleTests {
    // example:begin
    /// A counter in a file: whatever operation the power goes at, it holds the last number that was
    /// acknowledged, or the one that was on its way.
    @Test func aCounterSurvivesPowerCuts() async throws {
        for operation in 1...40 {
            let disk = SimulatedStorage(seed: UInt64(operation), scheduling: .bySeed)
            disk.inject(Fault(.powerCut, at: operation))
            var acknowledged: UInt8 = 0
            do {
                for number in UInt8(1)...10 {
                    try await Counter.store(number, on: disk)
                    acknowledged = number
                }
            } catch let error as StorageError {
                #expect(error.code == .closed, "the machine is down")
            }
            disk.crash(.bySeed)
            let found = try await Counter.load(from: disk)
            #expect(found == acknowledged || found == acknowledged + 1, "operation \(operation)")
        }
    }
    // example:end
}

/// The server under test.
private enum Counter {
    static func store(_ number: UInt8, on storage: some Storage) async throws {
        let staged = try StoragePath.root.appending("counter.new")
        let file = try await storage.open(staged, .openOrCreate)
        try await file.truncate(to: 0)
        let bytes = MemorySlice(MemoryBlock(copying: [number]))
        try await file.write([FileWrite(at: 0, [bytes])], thenSync: true)
        await file.close()
        try await storage.rename(staged, to: try StoragePath.root.appending("counter"))
        try await storage.syncDirectory(.root)
    }

    static func load(from storage: some Storage) async throws -> UInt8 {
        let path = try StoragePath.root.appending("counter")
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            let block = try await file.read(at: 0, count: 1)
            return block.withBytes { $0.byteCount == 1 ? $0.unsafeLoad(as: UInt8.self) : 0 }
        } catch {
            if error.code == .notFound { return 0 }
            throw error
        }
    }
}
