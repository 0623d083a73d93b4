import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Whatever a compaction is interrupted by, each group of segments is old or new.
@Suite(.timeLimit(.minutes(30))) struct CompactionCrashTests {
    /// Every operation of a pass fails, once or for good, and the machine goes down there or not.
    @Test(arguments: [false, true], [Fault.Problem.inputOutput, .noSpace])
    func operationKFails(isPersistent: Bool, problem: Fault.Problem) async throws {
        var k = 0
        var ranClean = false
        while !ranClean {
            k += 1
            for ending in [Crash.bySeed, .dropUnsynced, .keepAll, nil] {
                let context: Comment =
                    "operation \(k), \(problem), persistent \(isPersistent), \(ending.debugDescription)"
                var random = SplitMix64(seed: UInt64(k))
                let storage = SimulatedStorage(seed: UInt64(k))
                var oracle = KeyedOracle()
                let log = try await openLog(on: storage, .smallCompacted)
                _ = await oracle.append(to: log, appends: 25, keys: 6, &random)
                try await log.roll()
                storage.inject(Fault(problem, at: k, isPersistent: isPersistent))
                let operations = storage.counts.total
                do {
                    try await log.compact(options: .small(mapBytes: 240))
                    #expect(await log.compactionFailure == nil, context)
                } catch {
                    #expect(await log.compactionFailure != nil, context)
                }
                ranClean = storage.counts.total - operations < k
                storage.clearFaults()
                try await oracle.check(log, context)
                // A full disk stops the log until there is space, which there is again.
                #expect(await log.resumeWithSpace(), context)
                if await log.failure == nil {
                    // Only the manifest's own failures end the log's life.
                    #expect(
                        await oracle.append(to: log, appends: 3, keys: 6, &random), context)
                    if ending == nil {
                        try await log.compact()
                        try await oracle.check(log, context)
                    }
                }
                if let ending { storage.crash(ending) } else { try? await log.close() }
                let reopened = try await openLog(on: storage, .smallCompacted)
                try await oracle.check(reopened, context, reopened: true)
                try await reopened.roll()
                let report = try await reopened.compact(force: true)
                try await oracle.check(reopened, context, report: report)
                try await expectNoStrays(storage, reopened.currentManifest, context)
                storage.crash(.dropUnsynced)
                let last = try await openLog(on: storage, .smallCompacted)
                try await oracle.check(last, context, reopened: true, report: report)
                try await last.close()
            }
        }
        #expect(k > 30, "a pass has so many operations")
    }

    /// Lives that end with a power cut, one after another, some in the middle of a pass.
    @Test func latestRecordsSurviveCrashes() async throws {
        for seed in seeds(40) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var oracle = KeyedOracle()
            for life in 0..<5 {
                let context: Comment = "seed \(seed), life \(life)"
                let log = try await openLog(on: storage, .smallCompacted)
                try await oracle.check(log, context, reopened: true)
                for _ in 0..<3 {
                    _ = await oracle.append(
                        to: log, appends: random.below(15), keys: 8, &random,
                        acknowledge: random.coin() ? .durable : .written)
                    if random.coin() { try await log.roll() }
                    if random.below(3) == 0 {
                        storage.inject(
                            Fault(.inputOutput, at: 1 + random.below(60), isPersistent: true))
                    }
                    let options = CompactionOptions.small(
                        mapBytes: [100, 1 << 16][random.below(2)])
                    do { try await log.compact(force: random.coin(), options: options) } catch {
                        break
                    }
                    storage.clearFaults()
                }
                storage.clearFaults()
                storage.crash([.bySeed, .bySeed, .dropUnsynced, .keepAll][random.below(4)])
            }
        }
    }

    /// No file is left that the manifest does not name.
    private func expectNoStrays(
        _ storage: SimulatedStorage, _ manifest: Manifest, _ context: Comment
    ) async throws {
        var known = Set(manifest.sealed.map(\.id))
        if let active = manifest.active { known.insert(active.id) }
        let names = try await storage.entries(of: try logPath()).map(\.name)
        let found = Set(names.compactMap(SegmentFiles.id(ofLogNamed:)))
        #expect(found == known, context)
    }
}
