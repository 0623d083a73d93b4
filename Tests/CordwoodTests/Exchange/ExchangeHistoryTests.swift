import CordwoodCausality
import CordwoodSimulation
import TestSupport
import Testing

@testable import Cordwood

/// Databases on simulated disks that lose power at any operation, in exchanges as well as in writes.
@Suite(.timeLimit(.minutes(10))) struct ExchangeHistoryTests {
    #if DEBUG
    private static let histories = 8
    #else
    private static let histories = 300
    #endif

    @Test(arguments: ["lastWriter", "siblings", "merge"])
    func databasesConverge(resolution: String) async throws {
        for seed in seeds(Self.histories) {
            var history = try await History(seed: seed, resolution)
            for _ in 0..<24 { try await history.step() }
            try await history.finish()
        }
    }
}

/// What happens to some databases, and the writes that were acknowledged.
private struct History {
    private struct Site {
        var storage: SimulatedStorage
        var database: Database
        var topic: SharedTopic
    }

    private var random: SeededGenerator
    private let configuration: SharedTopicConfiguration
    private var sites: [Site] = []
    /// The last acknowledged write of each key at each site, which replaced all that was there.
    private var acknowledged: [[UInt8]: [Int: Dot]] = [:]
    private var nextValue: UInt8 = 0

    init(seed: UInt64, _ resolution: String) async throws {
        random = SeededGenerator(seed: seed)
        configuration = SharedTopicConfiguration(
            resolution: resolution == "lastWriter"
                ? .lastWriter
                : resolution == "siblings"
                    ? .siblings
                    : .merge { versions in
                        Set(versions.flatMap { $0.value ?? [] }).sorted()
                    })
        for number in 0..<UInt64.random(in: 2...4, using: &random) {
            let storage = SimulatedStorage(seed: seed << 8 | number)
            sites.append(try await Self.open(storage, configuration))
        }
    }

    private static func open(
        _ storage: SimulatedStorage, _ configuration: SharedTopicConfiguration
    ) async throws -> Site {
        let database = try await Database.open(
            on: storage, .init(retentionCheckIntervalMilliseconds: nil))
        return Site(
            storage: storage, database: database,
            topic: try await database.sharedTopic("cart", configuration))
    }

    mutating func step() async throws {
        let index = Int.random(in: sites.indices, using: &random)
        let site = sites[index]
        site.storage.simulatedClock.advance(milliseconds: Int64.random(in: 0...5, using: &random))
        if Int.random(in: 0..<4, using: &random) == 0 {
            site.storage.inject(Fault(.powerCut, at: Int.random(in: 1...12, using: &random)))
        }
        do {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let key = [UInt8.random(in: 1...4, using: &random)]
                nextValue &+= 1
                let isDelete = Int.random(in: 0..<4, using: &random) == 0
                let dot =
                    isDelete
                    ? try await site.topic.delete(key)
                    : try await site.topic.put([nextValue], forKey: key)
                acknowledged[key, default: [:]][index] = dot
            case 5..<8:
                let peer = sites[Int.random(in: sites.indices, using: &random)]
                if peer.database !== site.database {
                    try await site.topic.exchange(
                        with: peer.topic, batchBytes: Int.random(in: 1...300, using: &random))
                }
            case 8: try await site.topic.compact()
            default:
                try await site.database.close()
                sites[index] = try await Self.open(site.storage, configuration)
            }
        } catch {
            // Nothing but the lost power fails.
            #expect(site.storage.isDown, "\(error), seed \(random.seed)")
        }
        if site.storage.isDown { try await restart(index) }
        sites[index].storage.clearFaults()
    }

    private mutating func restart(_ index: Int) async throws {
        let site = sites[index]
        // What ran there ends before the power comes back.
        try? await site.database.close()
        site.storage.crash()
        sites[index] = try await Self.open(site.storage, configuration)
    }

    mutating func finish() async throws {
        for _ in 0..<2 {
            for a in sites.indices {
                for b in sites.indices where a != b {
                    try await sites[a].database.exchange(with: sites[b].database)
                }
            }
        }
        let seed = random.seed
        let bytes = await sites[0].topic.canonicalBytes()
        let seen = await sites[0].topic.seen
        for site in sites {
            #expect(await site.topic.canonicalBytes() == bytes, "seed \(seed)")
            #expect(await site.topic.seen == seen, "seed \(seed)")
            for key in acknowledged.keys {
                #expect(
                    await site.topic.get(key) == sites[0].topic.get(key), "seed \(seed)")
            }
        }
        // What was acknowledged is there, or was replaced by what knew of it.
        for (key, dots) in acknowledged {
            let entry = await sites[0].topic.get(key)
            for dot in dots.values { #expect(entry.context.contains(dot), "\(dot), seed \(seed)") }
            #expect(!entry.siblings.isEmpty, "seed \(seed)")
            #expect(entry.siblings.count <= sites.count, "seed \(seed)")
        }
        // And the same is made from the logs.
        for site in sites {
            try await site.database.close()
            let again = try await Self.open(site.storage, configuration)
            #expect(await again.topic.canonicalBytes() == bytes, "seed \(seed)")
            try await again.database.close()
        }
    }
}
