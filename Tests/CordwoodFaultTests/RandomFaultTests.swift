import CordwoodSimulation
import FaultWorkloads
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Lives with random faults, random interleavings and random outages, by seed.
@Suite(.timeLimit(.minutes(60))) struct RandomFaultTests {
    /// `CORDWOOD_SEEDS=N` multiplies how many seeds there are; `CORDWOOD_FIRST_SEED=N` begins there.
    static func seeds(_ count: Int) -> Range<UInt64> {
        func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }
        let first = UInt64(number("CORDWOOD_FIRST_SEED") ?? 0)
        return first..<first + UInt64(count * max(1, number("CORDWOOD_SEEDS") ?? 1))
    }

    private static func run(_ seed: UInt64) async throws -> Int {
        // Half of them again and again the same, half with whatever interleavings there are.
        if seed % 2 == 0 {
            let storage = SimulatedStorage(seed: seed, scheduling: .bySeed)
            return try await storage.run { try await lives(on: storage) }
        }
        return try await lives(on: SimulatedStorage(seed: seed))
    }

    private static func lives(on storage: SimulatedStorage) async throws -> Int {
        var random = SplitMix64(seed: storage.seed)
        let load = Load(
            writers: 1 + random.below(4), rounds: 1 + random.below(6),
            levels: [.durable, .durable, .written, .memory])
        let workloads = Workloads.all(load)
        var run = SimulatedRun(workloads[random.below(workloads.count)], on: storage)
        let problems: [Fault.Problem] = [
            .powerCut, .powerCut, .inputOutput, .noSpace, .cancelled, .short, .interrupted,
        ]
        let crashes: [Crash] = [.bySeed, .bySeed, .dropUnsynced, .keepAll]
        for _ in 0..<2 + random.below(3) {
            for _ in 0..<random.below(3) {
                let problem = problems[random.below(problems.count)]
                storage.inject(
                    Fault(
                        problem, at: 1 + random.below(120),
                        isPersistent: random.below(4) == 0 && problem != .interrupted))
            }
            let endedWell = await run.live()
            storage.clearFaults()
            let stays = endedWell && random.coin() && !storage.isDown
            run.outage(stays ? nil : crashes[random.below(crashes.count)])
            // Interrupted while it recovers, again and again.
            while random.below(3) == 0 {
                storage.inject(Fault(.powerCut, at: 1 + random.below(60)))
                _ = await run.open()
                storage.clearFaults()
                run.outage(crashes[random.below(crashes.count)])
            }
            try await run.check()
        }
        return run.survivors
    }

    /// A program on the storage's thread, database and all, is the same program the next time.
    @Test func theSameSeedIsTheSameRun() async throws {
        for seed in Self.seeds(30) {
            var traces: [UInt64] = []
            for _ in 0..<2 {
                let storage = SimulatedStorage(
                    seed: seed, scheduling: seed % 3 == 0 ? .inOrder : .bySeed)
                _ = try await storage.run { try await Self.lives(on: storage) }
                traces.append(storage.traceHash)
            }
            #expect(traces[0] == traces[1], "seed \(seed)")
        }
    }

    @Test func acknowledgedRecordsSurvive() async throws {
        var survivors = 0
        for seed in Self.seeds(200) {
            do { survivors += try await Self.run(seed) } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
        // Read by `make faults`.
        print("survivors \(survivors)")
        #expect(survivors > 1000, "\(survivors) acknowledged records outlived an outage")
    }
}
