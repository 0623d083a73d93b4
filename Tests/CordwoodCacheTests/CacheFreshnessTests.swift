import TestSupport
import Testing

@testable import CordwoodCache

@Suite(.timeLimit(.minutes(5))) struct CacheFreshnessTests {
    private static func cache(
        _ clock: ManualClock, _ change: (inout CacheConfiguration) -> Void = { _ in }
    ) throws -> Cache<Int, Int> {
        var configuration = CacheConfiguration(capacity: 10_000)
        configuration.timeToLive = .seconds(10)
        configuration.timeToLiveJitter = 0
        configuration.earlyRefresh = 0
        change(&configuration)
        return try Cache(configuration, clock: clock)
    }

    @Test func valuesAreServedUntilTheirTimeIsOver() async throws {
        let clock = ManualClock()
        let gone = Counter()
        var configuration = CacheConfiguration(capacity: 10)
        configuration.timeToLive = .seconds(10)
        configuration.timeToLiveJitter = 0
        let cache = try Cache<Int, Int>(
            configuration, clock: clock,
            onEviction: { _, _, cause in
                #expect(cause == .expired)
                gone.increment()
            })
        try cache.insert(1, for: 1)
        clock.advance(by: .nanoseconds(9_999_999_999))
        #expect(cache.value(for: 1) == 1)
        clock.advance(by: .nanoseconds(1))
        #expect(cache.value(for: 1) == nil)
        #expect(cache.statistics.expirations == 1)
        #expect(cache.statistics.entryCount == 0)
        await eventually { gone.value == 1 }
    }

    @Test func entriesThatCameTogetherDoNotGoTogether() throws {
        let clock = ManualClock()
        let cache = try Self.cache(clock) { $0.timeToLiveJitter = 0.5 }
        for key in 0..<1_000 { try cache.insert(key, for: key) }
        clock.advance(by: .nanoseconds(4_999_999_999))
        #expect((0..<1_000).allSatisfy { cache.value(for: $0) != nil })
        clock.advance(by: .nanoseconds(2_500_000_001))
        let half = (0..<1_000).filter { cache.value(for: $0) != nil }.count
        #expect(half > 400 && half < 600, "\(half)")
        clock.advance(by: .nanoseconds(2_500_000_000))
        #expect((0..<1_000).allSatisfy { cache.value(for: $0) == nil })
    }

    /// After a jump back nobody knows how old an entry is; it must not live for longer than that.
    @Test func aClockThatGoesBackwardsMakesNothingLiveLonger() throws {
        let clock = ManualClock()
        let cache = try Self.cache(clock)
        clock.advance(by: .seconds(1_000))
        try cache.insert(1, for: 1)
        try cache.insert(2, for: 2)
        clock.advance(by: .seconds(-500))
        #expect(cache.value(for: 1) == nil)
        try cache.insert(3, for: 3)
        #expect(cache.value(for: 3) == 3)
        clock.advance(by: .seconds(-1_000_000_000_000))
        #expect(cache.value(for: 2) == nil)
        #expect(cache.value(for: 3) == nil)
        clock.advance(by: .seconds(4_000_000_000_000))
        try cache.insert(4, for: 4)
        #expect(cache.value(for: 4) == 4)
    }

    @Test func absencesAreRememberedForTheirTime() async throws {
        let (clock, loads) = (ManualClock(), Counter())
        let cache = try Self.cache(clock) { $0.negativeTimeToLive = .seconds(2) }
        let load: @Sendable (Int) async throws -> Int? = { _ in
            loads.increment()
            return nil
        }
        #expect(try await cache.value(for: 1, loading: load) == nil)
        clock.advance(by: .milliseconds(1_999))
        #expect(try await cache.value(for: 1, loading: load) == nil)
        #expect(loads.value == 1)
        clock.advance(by: .milliseconds(1))
        #expect(try await cache.value(for: 1, loading: load) == nil)
        #expect(loads.value == 2)
        try cache.insert(5, for: 1)
        #expect(try await cache.value(for: 1, loading: load) == 5)
    }

    /// A reader misses, the load that was on the way ends, and only then the reader goes to wait.
    @Test func aReaderWhoMissedWhatWasLoadedSinceDoesNotLoad() async throws {
        let cache = try Self.cache(ManualClock())
        try cache.insert(1, for: 1)
        #expect(try await cache.load(1, []) { _ in 2 } == 1)
        #expect(cache.statistics.loads == 0)
    }

    @Test func absencesAreNotRememberedUnlessAskedFor() async throws {
        let (cache, loads) = (try Self.cache(ManualClock()), Counter())
        for round in 1...3 {
            #expect(
                try await cache.value(for: 1) { _ in
                    loads.increment()
                    return nil
                } == nil)
            #expect(loads.value == round)
        }
        #expect(cache.statistics.entryCount == 0)
    }

    @Test func entriesAreRenewedAheadWithoutWaiting() async throws {
        let (clock, gate) = (ManualClock(), Gate())
        let cache = try Self.cache(clock) { $0.refreshAhead = .seconds(3) }
        try cache.insert(1, for: 1)
        clock.advance(by: .milliseconds(6_999))
        #expect(try await cache.value(for: 1) { _ in 2 } == 1)
        #expect(cache.statistics.refreshes == 0)
        clock.advance(by: .milliseconds(1))
        for _ in 0..<10 {
            let value = try await cache.value(for: 1) { _ in
                await gate.pass()
                return 2
            }
            #expect(value == 1)
        }
        #expect(cache.statistics.refreshes == 1)
        gate.open()
        await eventually { cache.value(for: 1) == 2 }
        clock.advance(by: .seconds(9))
        #expect(cache.value(for: 1) == 2)
    }

    @Test func aRenewalThatFailsLeavesTheOldValueUntilItsEnd() async throws {
        let clock = ManualClock()
        let cache = try Self.cache(clock) { $0.refreshAhead = .seconds(3) }
        try cache.insert(1, for: 1)
        clock.advance(by: .seconds(8))
        #expect(try await cache.value(for: 1) { _ in throw LoadFailed() } == 1)
        await eventually { cache.statistics.loadFailures == 1 }
        #expect(cache.value(for: 1) == 1)
        clock.advance(by: .seconds(2))
        #expect(cache.value(for: 1) == nil)
    }

    /// Readers every millisecond, loads of 20 ms, and some 100 expiries: nobody waits in 99 % of them.
    @Test func earlyRefreshKeepsReadersFromWaiting() async throws {
        let clock = ManualClock()
        let cache = try Self.cache(clock) {
            $0.earlyRefresh = 1
            $0.timeToLive = .seconds(1)
            $0.shards = 1
        }
        let load: @Sendable (Int) async throws -> Int? = { _ in
            clock.advance(by: .milliseconds(20))
            return 1
        }
        let began = clock.now
        _ = try await cache.value(for: 1, loading: load)
        while began.duration(to: clock.now) < .seconds(100) {
            clock.advance(by: .milliseconds(1))
            let loads = cache.statistics.loads
            #expect(try await cache.value(for: 1, loading: load) == 1)
            if cache.statistics.loads > loads {
                await eventually { cache.shards.withShard(at: 0) { $0.flights.isEmpty } }
            }
        }
        let statistics = cache.statistics
        #expect(statistics.misses - 1 <= statistics.refreshes / 100, "\(statistics)")
        // And not by loading all the time.
        #expect(statistics.refreshes > 95 && statistics.refreshes < 130, "\(statistics)")
    }
}
