import CordwoodCache
import TestSupport
import Testing

@Suite struct PlacementTests {
    private static let keys = (0..<20_000).map { StableHash.hash("key \($0)") }

    /// Within five standard deviations of a share of independent draws.
    private static func isNear(_ count: Int, _ share: Double, of total: Int) -> Bool {
        let expected = share * Double(total)
        let deviation = (Double(total) * share * (1 - share)).squareRoot()
        return abs(Double(count) - expected) <= 5 * deviation + 1
    }

    /// Values that other machines and versions have computed: FNV-1a's own, spread.
    @Test func hashesAreTheSameEverywhere() {
        #expect(StableHash.hash("") == 0xF52A_15E9_A9B5_E89B)
        #expect(StableHash.hash("a") == 0x02C0_BDBF_4814_20F8)
        #expect(StableHash.hash("foobar") == 0x404D_A9E3_B740_78C2)
        #expect(StableHash.hash([0xFF, 0x00]) == 0x061C_3E3F_101D_43DD)
    }

    /// The published function's values.
    @Test(arguments: [
        (UInt64(1), 1, 0), (42, 57, 43), (0xDEAD_10CC, 1, 0), (0xDEAD_10CC, 666, 361),
        (256, 1024, 520), (0, -1, -1),
    ]) func jumpsWhereThePublishedOneDoes(hash: UInt64, buckets: Int, expected: Int) throws {
        if expected < 0 {
            #expect { try JumpHash.bucket(of: hash, buckets: buckets) } throws: {
                ($0 as? CacheError)?.code == .invalidPlacement
            }
        } else {
            #expect(try JumpHash.bucket(of: hash, buckets: buckets) == expected)
        }
    }

    @Test(arguments: [1, 2, 7, 50, 999])
    func aNewBucketTakesItsShareAndNothingElseMoves(buckets: Int) throws {
        var counts = Array(repeating: 0, count: buckets + 1)
        var moved = 0
        for key in Self.keys {
            let before = try JumpHash.bucket(of: key, buckets: buckets)
            let after = try JumpHash.bucket(of: key, buckets: buckets + 1)
            if before != after {
                #expect(after == buckets)
                moved += 1
            }
            counts[after] += 1
        }
        let share = 1 / Double(buckets + 1)
        #expect(Self.isNear(moved, share, of: Self.keys.count), "\(moved)")
        for count in counts { #expect(Self.isNear(count, share, of: Self.keys.count), "\(count)") }
    }

    @Test func bucketsOfAnyNumberAreReached() throws {
        #expect(throws: CacheError.self) { try JumpHash.bucket(of: 1, buckets: 0) }
        #expect(throws: CacheError.self) { try JumpHash.bucket(of: 1, buckets: 1 << 31) }
        for seed in seeds(1_000) {
            var random = SeededGenerator(seed: seed)
            let bucket = try JumpHash.bucket(of: random.next(), buckets: Int(Int32.max))
            #expect(bucket >= 0 && bucket < Int32.max, "seed \(seed)")
        }
    }

    private static func nodes(_ weights: [Double]) -> [RendezvousHash.Node] {
        weights.enumerated().map { .init("node \($0)", weight: $1) }
    }

    @Test(arguments: [[1.0], [1, 1, 1], [1, 2, 4, 0.5], [0.001, 1_000]])
    func nodesGetTheShareOfTheirWeight(weights: [Double]) throws {
        let placement = try RendezvousHash(Self.nodes(weights))
        var counts: [String: Int] = [:]
        for key in Self.keys { counts[placement.node(of: key).name, default: 0] += 1 }
        for node in placement.nodes {
            let share = node.weight / weights.reduce(0, +)
            let count = counts[node.name, default: 0]
            #expect(Self.isNear(count, share, of: Self.keys.count), "\(node): \(count)")
        }
    }

    @Test func onlyTheKeysOfANodeThatLeavesMoveByTheOthersWeights() throws {
        let all = try RendezvousHash(Self.nodes([1, 2, 3, 4]))
        let left = try RendezvousHash(Array(all.nodes.reversed().filter { $0.name != "node 3" }))
        var moved: [String: Int] = [:]
        for key in Self.keys {
            let (before, after) = (all.node(of: key), left.node(of: key))
            if before.name == "node 3" {
                moved[after.name, default: 0] += 1
                // The next of its nodes takes it.
                #expect(all.nodes(of: key, count: 2) == [before, after])
            } else {
                #expect(before == after)
            }
        }
        let total = moved.values.reduce(0, +)
        #expect(Self.isNear(total, 0.4, of: Self.keys.count), "\(total)")
        for (index, weight) in [1.0, 2, 3].enumerated() {
            let count = moved["node \(index)", default: 0]
            #expect(Self.isNear(count, weight / 6, of: total), "\(count) of \(total)")
        }
    }

    @Test func aGrowingWeightOnlyDrawsKeysIn() throws {
        let before = try RendezvousHash(Self.nodes([1, 1, 1]))
        let after = try RendezvousHash(Self.nodes([1, 1, 2]))
        var moved = 0
        for key in Self.keys where before.node(of: key).name != after.node(of: key).name {
            #expect(after.node(of: key).name == "node 2")
            moved += 1
        }
        #expect(Self.isNear(moved, 1.0 / 2 - 1.0 / 3, of: Self.keys.count), "\(moved)")
    }

    @Test func impossibleNodesAreRefused() {
        for nodes: [RendezvousHash.Node] in [
            [], [.init("a", weight: 0)], [.init("a", weight: -1)], [.init("a", weight: .nan)],
            [.init("a", weight: .infinity)], [.init("a"), .init("b"), .init("a")],
        ] {
            #expect { try RendezvousHash(nodes) } throws: {
                ($0 as? CacheError)?.code == .invalidPlacement
            }
        }
    }
}
