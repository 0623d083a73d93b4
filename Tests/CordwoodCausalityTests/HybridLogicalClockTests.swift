import CordwoodCausality
import TestSupport
import Testing

@Suite struct HybridLogicalClockTests {
    /// Some nodes with clocks of their own, which stand, run and jump back, send each other messages.
    @Test func timestampsRespectCausesAndStayNearTheTime() throws {
        for seed in seeds(1_000) {
            var random = SeededGenerator(seed: seed)
            var clocks = (0..<3).map { _ in HybridLogicalClock(maximumDriftMilliseconds: 500) }
            var times: [Int64] = (0..<3).map { _ in 10_000 + .random(in: 0...100, using: &random) }
            for _ in 0..<100 {
                let node = Int.random(in: 0..<3, using: &random)
                times[node] += Int64.random(in: -40...60, using: &random)
                let before = clocks[node].latest
                let sent = clocks.randomElement(using: &random)!.latest
                let isMessage = Bool.random(using: &random)
                do throws(CausalityError) {
                    let stamp =
                        isMessage
                        ? try clocks[node].receive(sent, at: times[node])
                        : try clocks[node].tick(at: times[node])
                    #expect(stamp > before, "seed \(seed)")
                    if isMessage { #expect(stamp > sent, "seed \(seed)") }
                    #expect(stamp.milliseconds >= times[node], "seed \(seed)")
                    #expect(stamp.milliseconds - times[node] <= 500, "seed \(seed)")
                    #expect(clocks[node].latest == stamp, "seed \(seed)")
                } catch {
                    let ahead = max(before.milliseconds, isMessage ? sent.milliseconds : 0)
                    #expect(ahead - times[node] >= 500, "seed \(seed): \(error)")
                    #expect(clocks[node].latest == before, "seed \(seed)")
                }
            }
        }
    }

    @Test func aTimeThatStandsStillCounts() throws {
        var clock = HybridLogicalClock()
        #expect(try clock.tick(at: 1_000).description == "1000.0")
        #expect(try clock.tick(at: 1_000).description == "1000.1")
        #expect(try clock.tick(at: 900).description == "1000.2")
        #expect(try clock.tick(at: 1_001).description == "1001.0")
    }

    @Test func aFullCounterCarries() throws {
        let full = try HybridTimestamp(milliseconds: 1_000, counter: .max)
        var clock = HybridLogicalClock(maximumDriftMilliseconds: 1, latest: full)
        #expect(try clock.tick(at: 1_000).description == "1001.0")
        var strict = HybridLogicalClock(maximumDriftMilliseconds: 0, latest: full)
        #expect { try strict.tick(at: 1_000) } throws: {
            ($0 as? CausalityError)?.code == .clockWentBack
        }
        #expect(strict.latest == full)
    }

    @Test func aClockThatWentBackTooFarWaitsUntilTimeHasCaughtUp() throws {
        var clock = HybridLogicalClock(maximumDriftMilliseconds: 100)
        let last = try clock.tick(at: 10_000)
        #expect { try clock.tick(at: 9_899) } throws: {
            ($0 as? CausalityError)?.code == .clockWentBack
        }
        #expect(try clock.tick(at: 9_900) > last)
    }

    @Test func aRemoteClockTooFarAheadIsRefused() throws {
        var clock = HybridLogicalClock(maximumDriftMilliseconds: 100)
        _ = try clock.tick(at: 1_000)
        let before = clock
        for milliseconds: Int64 in [1_101, HybridTimestamp.maximumMilliseconds] {
            let remote = try HybridTimestamp(milliseconds: milliseconds)
            #expect { try clock.receive(remote, at: 1_000) } throws: {
                ($0 as? CausalityError)?.code == .remoteClockAhead
            }
        }
        #expect(clock == before)
        #expect(
            try clock.receive(HybridTimestamp(milliseconds: 1_100), at: 1_000).description
                == "1100.1")
    }

    @Test(arguments: [-1, Int64.min, Int64.max, 1 << 48]) func impossibleTimesAreRefused(now: Int64)
    {
        var clock = HybridLogicalClock(maximumDriftMilliseconds: .max)
        #expect { try clock.tick(at: now) } throws: {
            ($0 as? CausalityError)?.code == .timeOutOfRange
        }
        #expect { try clock.receive(HybridTimestamp(rawValue: .max), at: now) } throws: {
            ($0 as? CausalityError)?.code == .timeOutOfRange
        }
    }

    @Test func theLastTimestampOfAllIsNotPassed() {
        var clock = HybridLogicalClock(
            maximumDriftMilliseconds: .max, latest: HybridTimestamp(rawValue: .max))
        #expect(throws: CausalityError.self) {
            try clock.tick(at: HybridTimestamp.maximumMilliseconds)
        }
    }
}
