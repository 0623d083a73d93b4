import ArgumentParser
import CordwoodCache
import Glibc

/// `cordwood-bench cache`: hit ratios over traces, hits a second, and bytes an entry.
struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "Replay traces through a cache, and measure its hits.")

    @Option(help: "Traces to replay: \(CacheTrace.names.joined(separator: ", ")).")
    var traces: [String] = CacheTrace.names

    @Option(help: "Requests a trace.")
    var requests = 2_000_000

    @Option(help: "Shards of the cache; its own choice by default.")
    var shards: Int?

    @Option(help: "Measured rounds of hits, after one to warm up.")
    var rounds = 5

    @Option(help: "A folder for the traces, as libCacheSim's oracleGeneral files.")
    var saveTraces: String?

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds: expected 1 or more") }
        guard requests > 0 else { throw ValidationError("--requests: expected 1 or more") }
    }

    func run() async throws {
        // First, since the system does not tell what is free again from what is in use.
        try measureMemory().print()
        for name in traces {
            let trace = try CacheTrace(name, requests: requests)
            if let saveTraces {
                try SmallFile.replace("\(saveTraces)/\(name).oracle", with: trace.oracleGeneral())
            }
            for size in CacheTrace.sizes { try replay(trace, size).print() }
        }
        try await measureHits().print()
        try await measureExpiries().print()
    }

    private func cache(of capacity: Int) throws -> Cache<UInt64, UInt64> {
        var configuration = CacheConfiguration(capacity: capacity)
        configuration.shards = shards
        return try Cache(configuration)
    }

    private func replay(_ trace: CacheTrace, _ size: Int) throws -> JSONLine {
        let cache = try cache(of: size)
        let time = try ContinuousClock().measure {
            for key in trace.keys where cache.value(for: key) == nil {
                try cache.insert(key, for: key)
            }
        }
        var line = JSONLine()
        line["measure"] = .string("replay")
        line["trace"] = .string(trace.name)
        line["objects"] = .integer(trace.objects)
        line["requests"] = .integer(trace.keys.count)
        line["capacity"] = .integer(size)
        // More digits than a number prints with: differences between policies are small.
        line["hits"] = .integer(cache.statistics.hits)
        line["requests_per_s"] = .number(Double(trace.keys.count) / (time / .seconds(1)))
        return line
    }

    /// Lookups that all hit, Zipf 0.99 over 100,000 entries, on one task and on two.
    private func measureHits() async throws -> JSONLine {
        let trace = try CacheTrace("zipf-0.99", requests: 1_000_000)
        let cache = try cache(of: 200_000)
        for key in Set(trace.keys) { try cache.insert(key, for: key) }
        let other = Array(trace.keys.reversed())
        let passes = 3
        var one: [Double] = []
        var two: [Double] = []
        // Side by side, so that what else runs here hurts both alike.
        for _ in 0...rounds {
            let count = Double(passes * trace.keys.count)
            let clock = ContinuousClock()
            let alone = clock.measure { Self.look(cache, trace.keys, passes) }
            let both = await clock.measure {
                async let first: Void = Self.lookAside(cache, trace.keys, passes)
                async let second: Void = Self.lookAside(cache, other, passes)
                _ = await (first, second)
            }
            one.append(count / (alone / .seconds(1)))
            two.append(2 * count / (both / .seconds(1)))
        }
        guard cache.statistics.misses == 0 else { throw BenchError("a lookup missed") }
        var line = JSONLine()
        line["measure"] = .string("hits")
        line["hits_per_s"] = Samples(one.dropFirst()).json
        line["hits_per_s_two_threads"] = Samples(two.dropFirst()).json
        line["two_threads_to_one"] = Samples(zip(two, one).dropFirst().map { $0 / $1 }).json
        return line
    }

    /// What 1,000 readers of one key cost its origin when the key's time is over, again and again: loads an
    /// expiry with single flight alone, and the expiries in which nobody waits with early refresh.
    private func measureExpiries() async throws -> JSONLine {
        let alone = try await readThroughExpiries(earlyRefresh: 0)
        let early = try await readThroughExpiries(earlyRefresh: 1)
        var line = JSONLine()
        line["measure"] = .string("expiries")
        line["readers"] = .integer(Self.readers)
        line["expiries"] = .integer(alone.expirations)
        // The first load had no expiry before it.
        line["loads_per_expiry"] = .number(
            Double(alone.loads - 1) / Double(max(1, alone.expirations)))
        line["early_renewals"] = .integer(early.loads - 1)
        // Readers wait where the value was found to be over before its renewal came.
        line["renewals_nobody_waited_for_percent"] = .number(
            100 - 100 * Double(early.expirations) / Double(max(1, early.loads - 1)))
        return line
    }

    private static let readers = 1_000

    private func readThroughExpiries(earlyRefresh: Double) async throws -> CacheStatistics {
        var configuration = CacheConfiguration(capacity: 100)
        configuration.timeToLive = .milliseconds(100)
        configuration.earlyRefresh = earlyRefresh
        let cache = try Cache<Int, Int>(configuration)
        let end = ContinuousClock.now + .seconds(10)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for _ in 0..<Self.readers {
                tasks.addTask {
                    while ContinuousClock.now < end {
                        _ = try await cache.value(for: 1) { _ in
                            try await Task.sleep(for: .milliseconds(5))
                            return 1
                        }
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
            try await tasks.waitForAll()
        }
        return cache.statistics
    }

    @concurrent private static func lookAside(
        _ cache: Cache<UInt64, UInt64>, _ keys: [UInt64], _ passes: Int
    ) async { look(cache, keys, passes) }

    private static func look(_ cache: Cache<UInt64, UInt64>, _ keys: [UInt64], _ passes: Int) {
        var sum: UInt64 = 0
        for _ in 0..<passes {
            for key in keys { sum &+= cache.value(for: key) ?? 0 }
        }
        // Read by nobody, but not to be known by the compiler.
        withExtendedLifetime(sum) {}
    }

    /// What a million entries take beside their keys and values, from what the system says.
    private func measureMemory() throws -> JSONLine {
        let count = 1_000_000
        let before = Machine.residentBytes
        let cache = try cache(of: count)
        // Three times as many, so that the policy remembers as much as it can.
        for key in 0..<UInt64(3 * count) { try cache.insert(key, for: key) }
        let used = Machine.residentBytes - before
        var line = JSONLine()
        line["measure"] = .string("memory")
        line["entries"] = .integer(cache.statistics.entryCount)
        line["overhead_bytes_per_entry"] = .number(Double(used) / Double(count) - 16)
        return line
    }
}
