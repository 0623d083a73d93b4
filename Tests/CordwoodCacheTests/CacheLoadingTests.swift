import CordwoodCache
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct CacheLoadingTests {
    private static func cache(
        clock: ManualClock = ManualClock(), _ change: (inout CacheConfiguration) -> Void = { _ in }
    ) throws -> Cache<String, Int> {
        var configuration = CacheConfiguration(capacity: 100)
        configuration.timeToLiveJitter = 0
        change(&configuration)
        return try Cache(configuration, clock: clock)
    }

    @Test func aThousandConcurrentMissesRunOneLoad() async throws {
        let (cache, gate, loads) = (try Self.cache(), Gate(), Counter())
        try await withThrowingTaskGroup(of: Int?.self) { group in
            for _ in 0..<1_000 {
                group.addTask {
                    try await cache.value(for: "key") { _ in
                        await gate.pass()
                        return loads.increment()
                    }
                }
            }
            await eventually { cache.statistics.misses == 1_000 }
            gate.open()
            for try await value in group { #expect(value == 1) }
        }
        #expect(loads.value == 1)
        #expect(cache.statistics.loads == 1)
        #expect(try await cache.value(for: "key") { _ in 2 } == 1)
    }

    /// Once for each expiry, whoever asks when.
    @Test func aThousandReadersRunOneLoadAnExpiry() async throws {
        let (clock, loads) = (ManualClock(), Counter())
        let cache = try Self.cache(clock: clock) {
            $0.timeToLive = .seconds(10)
            $0.earlyRefresh = 0
        }
        for expiry in 1...5 {
            try await withThrowingTaskGroup(of: Int?.self) { group in
                for _ in 0..<1_000 {
                    group.addTask {
                        try await cache.value(for: "key") { _ in
                            await Task.yield()
                            return loads.increment()
                        }
                    }
                }
                for try await value in group { #expect(value == expiry) }
            }
            #expect(loads.value == expiry)
            clock.advance(by: .seconds(10))
        }
    }

    @Test func anErrorReachesAllWhoWaitAndIsNotCached() async throws {
        let (cache, gate) = (try Self.cache(), Gate())
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    do {
                        _ = try await cache.value(for: "key") { _ in
                            await gate.pass()
                            throw LoadFailed()
                        }
                        return false
                    } catch { return error is LoadFailed }
                }
            }
            await eventually { cache.statistics.misses == 10 }
            gate.open()
            for await failed in group { #expect(failed) }
        }
        #expect(cache.statistics.loadFailures == 1)
        #expect(try await cache.value(for: "key") { _ in 7 } == 7)
    }

    @Test func cancellingOneWaiterEndsThatOneAlone() async throws {
        let (cache, gate) = (try Self.cache(), Gate())
        let load: @Sendable (String) async throws -> Int? = { _ in
            await gate.pass()
            return Task.isCancelled ? -1 : 1
        }
        let first = Task { try await cache.value(for: "key", loading: load) }
        await eventually { gate.waitingCount == 1 }
        let second = Task { try await cache.value(for: "key", loading: load) }
        await eventually { cache.statistics.misses == 2 }
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        gate.open()
        #expect(try await second.value == 1)
        #expect(cache.value(for: "key") == 1)
    }

    @Test func cancellingAllWaitersCancelsTheLoad() async throws {
        let (cache, gate) = (try Self.cache(), Gate())
        let cancelled = Counter()
        let tasks = (0..<10).map { _ in
            Task {
                try await cache.value(for: "key") { _ in
                    await withTaskCancellationHandler {
                        await gate.pass()
                    } onCancel: {
                        cancelled.increment()
                    }
                    return 1
                }
            }
        }
        await eventually { cache.statistics.misses == 10 && gate.waitingCount == 1 }
        for task in tasks { task.cancel() }
        for task in tasks {
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(cancelled.value == 1)
        // Whoever comes now does not get the load that was given up.
        #expect(try await cache.value(for: "key") { _ in 2 } == 2)
        gate.open()
        #expect(cache.value(for: "key") == 2)
    }

    @Test func aTaskThatWasCancelledBeforeDoesNotWait() async throws {
        let (cache, gate) = (try Self.cache(), Gate())
        let task = Task {
            await gate.pass()
            return try await cache.value(for: "key") { _ in
                try await Task.sleep(for: .seconds(1_000))
                return 1
            }
        }
        task.cancel()
        gate.open()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aLoadThatNeverReturnsEndsAtItsDeadline() async throws {
        let (clock, gate) = (ManualClock(), Gate())
        let cache = try Self.cache(clock: clock) {
            $0.loadDeadline = .seconds(5)
            $0.maximumLoads = 2
        }
        for _ in 0..<2 {
            let task = Task {
                try await cache.value(for: "key") { _ in
                    await gate.pass()
                    return 1
                }
            }
            await eventually { clock.sleeperCount == 1 }
            clock.advance(by: .seconds(5))
            await #expect {
                try await task.value
            } throws: { ($0 as? CacheError)?.code == .loadDeadlineExceeded }
        }
        // The two that hang still count.
        await #expect {
            try await cache.value(for: "other") { _ in 1 }
        } throws: { ($0 as? CacheError)?.code == .tooManyLoads }
        await eventually { gate.waitingCount == 2 }
        gate.open()
        // What they return in the end is too late to be cached.
        await eventually { gate.waitingCount == 0 }
        #expect(cache.value(for: "key") == nil)
        #expect(cache.statistics.loadFailures == 3)
    }

    /// How a load is overtaken.
    enum Overtaking: CaseIterable {
        case key, tag, prefix, everything, write
    }

    /// The stale-set race: a load reads the origin, the origin changes and the key is invalidated, and
    /// only then the load returns what it has read.
    @Test(arguments: Overtaking.allCases)
    func aFillThatRacedWithAnInvalidationIsRefused(by overtaking: Overtaking) async throws {
        let (cache, gate) = (try Self.cache(), Gate())
        let origin = Mutex(1)
        let slow = Task {
            try await cache.value(for: "user/7", tags: ["users"]) { _ in
                let read = origin.withLock { $0 }
                await gate.pass()
                return read
            }
        }
        await eventually { gate.waitingCount == 1 }
        origin.withLock { $0 = 2 }
        switch overtaking {
        case .key: cache.invalidate("user/7")
        case .tag: cache.invalidate(tag: "users")
        case .prefix: cache.invalidate(prefix: "user/")
        case .everything: cache.invalidateAll()
        case .write: try cache.insert(2, for: "user/7")
        }
        // Who asks now must not wait for the old value.
        #expect(try await cache.value(for: "user/7") { _ in origin.withLock { $0 } } == 2)
        gate.open()
        #expect(try await slow.value == 1)
        #expect(cache.value(for: "user/7") == 2)
        #expect(cache.statistics.refusedFills == 1)
    }

    @Test func anotherKeysInvalidationRefusesNothing() async throws {
        let (cache, gate) = (try Self.cache(), Gate())
        let load = Task {
            try await cache.value(for: "user/7", tags: ["users"]) { _ in
                await gate.pass()
                return 1
            }
        }
        await eventually { gate.waitingCount == 1 }
        cache.invalidate("user/8")
        cache.invalidate(tag: "user")
        cache.invalidate(prefix: "user/70")
        gate.open()
        #expect(try await load.value == 1)
        #expect(cache.value(for: "user/7") == 1)
    }

    @Test func aValueThatIsTooHeavyIsReturnedAndNotCached() async throws {
        var configuration = CacheConfiguration(capacity: 10)
        configuration.shards = 1
        let cache = try Cache<String, Int>(configuration) { _, value in value }
        #expect(try await cache.value(for: "key") { _ in 11 } == 11)
        #expect(cache.value(for: "key") == nil)
        #expect(cache.statistics.tooHeavyFills == 1)
        await #expect {
            try await cache.value(for: "key") { _ in 0 }
        } throws: { ($0 as? CacheError)?.code == .invalidWeight }
        #expect(try await cache.value(for: "key") { _ in 10 } == 10)
        #expect(cache.value(for: "key") == 10)
    }

    /// Readers, writers, invalidations and loads at once; the thread sanitizer looks on.
    @Test func manyTasksAtOnceKeepTheBounds() async throws {
        var configuration = CacheConfiguration(capacity: 64)
        configuration.shards = 4
        configuration.timeToLive = .milliseconds(2)
        configuration.negativeTimeToLive = .milliseconds(1)
        let cache = try Cache<Int, [Int]>(configuration, onEviction: { _, _, _ in })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for step in 0..<2_000 {
                        let key = (step * 7919 + task * 104_729) % 200
                        switch step % 11 {
                        case 0: cache.invalidate(key)
                        case 1: cache.invalidate(tag: "\(key % 5)")
                        case 2: try cache.insert([key], for: key, tags: ["\(key % 5)"])
                        case 3...6:
                            let value = try await cache.value(for: key, tags: ["\(key % 5)"]) {
                                await Task.yield()
                                return $0.isMultiple(of: 9) ? nil : [$0]
                            }
                            #expect(value == nil || value == [key])
                        default: #expect(cache.value(for: key) ?? [key] == [key])
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(cache.statistics.weight <= 64)
        #expect(cache.statistics.entryCount == cache.statistics.weight)
        cache.invalidateAll()
        #expect(cache.statistics.entryCount == 0)
    }
}
