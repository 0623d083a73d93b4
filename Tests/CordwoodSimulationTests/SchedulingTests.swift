import CordwoodSimulation
import CordwoodStorage
import Testing

@Suite struct SchedulingTests {
    /// Three writers of one file whose writes cross.
    private func race(seed: UInt64, _ scheduling: Scheduling) async throws -> (UInt64, [UInt8]) {
        let storage = SimulatedStorage(seed: seed, scheduling: scheduling)
        try await storage.run {
            let file = try await storage.open(try path("a"), .create)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for writer in UInt8(0)..<3 {
                    tasks.addTask {
                        for round in 0..<8 {
                            try await file.write(fill(writer, 1, at: round), thenSync: false)
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }
        return (storage.traceHash, try storage.contents(of: path("a")) ?? [])
    }

    @Test(arguments: [Scheduling.inOrder, .bySeed])
    func theSameSeedGivesTheSameRun(scheduling: Scheduling) async throws {
        for seed in UInt64(0)..<100 {
            let first = try await race(seed: seed, scheduling)
            let second = try await race(seed: seed, scheduling)
            #expect(first == second, "seed \(seed)")
        }
    }

    @Test func seedsGiveDifferentInterleavings() async throws {
        var outcomes: Set<[UInt8]> = []
        for seed in UInt64(0)..<30 { outcomes.insert(try await race(seed: seed, .bySeed).1) }
        #expect(outcomes.count > 10)
    }

    /// Calls on their way at the same time are done in any order.
    @Test func completionsAreReordered() async throws {
        var first: Set<String> = []
        for seed in UInt64(0)..<30 {
            let storage = SimulatedStorage(seed: seed, scheduling: .bySeed)
            try await storage.run {
                let files = [
                    try await storage.open(try path("a"), .create),
                    try await storage.open(try path("b"), .create),
                ]
                await withTaskGroup(of: Void.self) { tasks in
                    for file in files {
                        tasks.addTask { try? await file.write(fill(1, 1), thenSync: false) }
                    }
                }
            }
            first.insert(storage.trace.first { $0.kind == .write }!.path)
        }
        #expect(first == ["a", "b"])
    }
}
