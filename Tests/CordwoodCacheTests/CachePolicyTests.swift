import Synchronization
import TestSupport
import Testing

@testable import CordwoodCache

@Suite(.timeLimit(.minutes(15))) struct CachePolicyTests {
    /// Entries of the only shard, queue by queue, oldest first.
    private static func entries(
        of cache: Cache<Int, Int>
    ) -> (small: [Int], main: [Int], mainHits: [Int]) {
        cache.shards.withShard(at: 0) { shard in
            var (small, main, hits): ([Int], [Int], [Int]) = ([], [], [])
            shard.slab.visit { slot, key in
                if shard.slab.entries[slot].isInMain {
                    main.append(key)
                    hits.append(Int(shard.slab.frequency(slot)))
                } else {
                    small.append(key)
                }
            }
            return (small, main, hits)
        }
    }

    /// Random lookups, writes of random weights and invalidations, beside the plain model.
    @Test func doesWhatThePlainModelDoes() throws {
        for seed in seeds(2_000) {
            var random = SeededGenerator(seed: seed)
            var configuration = CacheConfiguration(
                capacity: .random(in: 1...60, using: &random))
            configuration.shards = 1
            let heaviest = Bool.random(using: &random) ? 1 : min(8, configuration.capacity)
            let weights = (0..<40).map { _ in Int.random(in: 1...heaviest, using: &random) }
            let cache = try Cache<Int, Int>(configuration) { key, value in
                weights[(key + value) % weights.count]
            }
            var model = PlainModel(capacity: configuration.capacity)
            for step in 0..<300 {
                let key = Int.random(in: 0..<40, using: &random)
                switch UInt64.random(in: 0..<20, using: &random) {
                case 0:
                    cache.invalidate(key)
                    model.invalidate(key)
                case 1..<10:
                    try cache.insert(step, for: key)
                    model.insert(key, step, weights[(key + step) % weights.count])
                default:
                    #expect(cache.value(for: key) == model.value(for: key), "seed \(seed)")
                }
                #expect(model.weight <= configuration.capacity, "seed \(seed)")
            }
            let found = Self.entries(of: cache)
            #expect(found.small == model.small.map(\.key), "seed \(seed)")
            #expect(found.main == model.main.map(\.key), "seed \(seed)")
            #expect(found.mainHits == model.main.map(\.hits), "seed \(seed)")
            #expect(cache.statistics.weight == model.weight, "seed \(seed)")
            #expect(cache.statistics.evictions == model.evicted.count, "seed \(seed)")
        }
    }

    @Test func entriesSpreadOverTheShardsAndStayWithinTheCapacity() throws {
        var configuration = CacheConfiguration(capacity: 10_001)
        configuration.shards = 7
        let cache = try Cache<Int, Int>(configuration)
        for key in 0..<5_000 { try cache.insert(key, for: key) }
        let counts = (0..<7).map { cache.shards.withShard(at: $0) { $0.slab.count } }
        #expect(counts.allSatisfy { $0 > 500 && $0 < 950 }, "\(counts)")
        #expect((0..<5_000).allSatisfy { cache.value(for: $0) == $0 })
        for key in 0..<50_000 { try cache.insert(key, for: key) }
        #expect(cache.statistics.entryCount == 10_001)
        #expect(cache.statistics.weight == 10_001)
    }

    @Test func aScanDoesNotTakeThePlaceOfWhatIsUsed() throws {
        let cache = try Cache<Int, Int>(CacheConfiguration(capacity: 1_000))
        for _ in 0..<4 {
            for key in 0..<500 where cache.value(for: key) == nil {
                try cache.insert(key, for: key)
            }
        }
        for key in 10_000..<20_000 where cache.value(for: key) == nil {
            try cache.insert(key, for: key)
            if key.isMultiple(of: 100) { for used in 0..<500 { _ = cache.value(for: used) } }
        }
        #expect((0..<500).filter { cache.value(for: $0) != nil }.count > 490)
    }

    @Test(arguments: [0, -1, Int.min]) func capacitiesBelowOneAreRefused(capacity: Int) {
        #expect { try Cache<Int, Int>(CacheConfiguration(capacity: capacity)) } throws: {
            ($0 as? CacheError)?.code == .invalidCapacity && "\($0)".contains("\(capacity)")
        }
    }

    private static let configurations: [@Sendable (inout CacheConfiguration) -> Void] = [
        { $0.shards = 0 }, { $0.shards = 11 }, { $0.timeToLive = .zero },
        { $0.timeToLiveJitter = -0.1 }, { $0.timeToLiveJitter = .nan },
        { $0.negativeTimeToLive = .seconds(-1) }, { $0.earlyRefresh = .infinity },
        { $0.refreshAhead = .zero }, { $0.loadDeadline = .zero }, { $0.maximumLoads = 0 },
        { $0.maximumPendingEvictions = 0 },
    ]

    @Test(arguments: configurations.indices) func impossibleConfigurationsAreRefused(index: Int) {
        var configuration = CacheConfiguration(capacity: 10)
        Self.configurations[index](&configuration)
        #expect { try Cache<Int, Int>(configuration) } throws: {
            ($0 as? CacheError)?.code == .invalidConfiguration
        }
    }

    @Test func entriesThatAreTooHeavyOrWeighNothingAreRefused() throws {
        var configuration = CacheConfiguration(capacity: 100)
        configuration.shards = 2
        let cache = try Cache<String, Int>(configuration) { _, value in value }
        try cache.insert(50, for: "a")
        for (value, code) in [
            (51, CacheError.Code.entryTooHeavy), (.max, .entryTooHeavy), (0, .invalidWeight),
            (.min, .invalidWeight),
        ] {
            try cache.insert(50, for: "a")
            #expect { try cache.insert(value, for: "a") } throws: {
                ($0 as? CacheError)?.code == code
            }
            // What it was to replace is out of date.
            #expect(cache.value(for: "a") == nil)
        }
    }

    @Test func takesAtMost64BytesAnEntryBesideKeyAndValue() throws {
        for capacity in [1_000, 100_000, 131_072, 131_073] {
            var configuration = CacheConfiguration(capacity: capacity)
            configuration.shards = 1
            let cache = try Cache<Int, Int>(configuration)
            for key in 0..<capacity * 3 { try cache.insert(key, for: key) }
            let bytes = cache.shards.withShard(at: 0) { shard in
                shard.slab.capacity * (MemoryLayout<Entry<Int, Int>>.stride + 1)
                    + (shard.slab.table.mask + 1) * 4 + shard.slab.free.capacity * 4
                    + shard.ghosts.capacity * 4 + (shard.ghosts.table.mask + 1) * 4
            }
            #expect(bytes / capacity - 16 <= 64, "\(capacity) entries")
        }
    }

    /// Releasing a value may run any code, the cache's own included.
    private final class Chatty: Sendable {
        static let alive = Atomic<Int>(0)
        let cache: @Sendable () -> Void

        init(_ cache: @escaping @Sendable () -> Void) {
            self.cache = cache
            Self.alive.add(1, ordering: .relaxed)
        }

        deinit {
            cache()
            Self.alive.subtract(1, ordering: .relaxed)
        }
    }

    @Test func valuesAreReleasedOnceAndWithoutALock() throws {
        final class Holder: Sendable { let cache = Mutex<Cache<Int, Chatty>?>(nil) }
        var configuration = CacheConfiguration(capacity: 10)
        configuration.shards = 1
        do {
            let holder = Holder()
            let cache = try Cache<Int, Chatty>(configuration)
            holder.cache.withLock { $0 = cache }
            for key in 0..<100 {
                let chatty = Chatty { [weak holder] in
                    let cache = holder?.cache.withLock { $0 }
                    _ = cache?.value(for: 1)
                }
                try cache.insert(chatty, for: key % 20)
                if key.isMultiple(of: 7) { cache.invalidate(key % 20) }
            }
            #expect(Chatty.alive.load(ordering: .relaxed) == cache.statistics.entryCount)
            cache.invalidate { $0.isMultiple(of: 2) }
            #expect(Chatty.alive.load(ordering: .relaxed) == cache.statistics.entryCount)
            holder.cache.withLock { $0 = nil }
        }
        #expect(Chatty.alive.load(ordering: .relaxed) == 0)
    }

    @Test func evictionsAreReportedInOrder() async throws {
        var configuration = CacheConfiguration(capacity: 10)
        configuration.shards = 1
        let seen = Mutex<[Int]>([])
        let cache = try Cache<Int, Int>(
            configuration,
            onEviction: { key, value, cause in
                #expect(cause == .capacity && key == value)
                await Task.yield()
                seen.withLock { $0.append(key) }
            })
        var model = PlainModel(capacity: 10)
        for key in 0..<200 {
            try cache.insert(key, for: key)
            model.insert(key, key, 1)
        }
        await eventually { seen.withLock { $0.count } == model.evicted.count }
        #expect(seen.withLock { $0 } == model.evicted)
        #expect(cache.statistics.unreportedEvictions == 0)
    }

    @Test func aSlowHookHoldsNobodyUp() async throws {
        var configuration = CacheConfiguration(capacity: 1)
        configuration.maximumPendingEvictions = 5
        let (gate, seen) = (Gate(), Counter())
        let cache = try Cache<Int, Int>(
            configuration,
            onEviction: { _, _, _ in
                await gate.pass()
                seen.increment()
            })
        try cache.insert(0, for: 0)
        try cache.insert(1, for: 1)
        await eventually { gate.waitingCount == 1 }
        for key in 2..<102 { try cache.insert(key, for: key) }
        #expect(cache.statistics.unreportedEvictions == 95)
        gate.open()
        await eventually { seen.value == 6 }
    }
}
