import CordwoodCausality
import TestSupport
import Testing

@Suite struct DottedVersionVectorSetTests {
    private typealias NumberSet = DottedVersionVectorSet<Int>

    /// No value is lost unless a writer had seen it, none comes back, and comparing is inclusion of
    /// causal pasts.
    @Test func holdsExactlyWhatTheFullHistoryHolds() throws {
        for seed in seeds(10_000) {
            var history = try History(seed: seed)
            for _ in 0..<20 {
                try history.step()
                for replica in history.replicas {
                    let live = replica.known & ~replica.replaced
                    let values = replica.set.values.reduce(UInt64(0)) { $0 | 1 << $1 }
                    #expect(values == live, "seed \(seed)")
                    #expect(replica.set.count == live.nonzeroBitCount, "seed \(seed)")
                }
            }
            for a in history.replicas {
                for b in history.replicas {
                    let missesSome = a.known & ~b.known != 0
                    let hasMore = b.known & ~a.known != 0
                    #expect(a.set.isLess(than: b.set) == (!missesSome && hasMore), "seed \(seed)")
                }
            }
        }
    }

    @Test func siblingsAreConcurrentAndNoMoreThanTheWriters() throws {
        for seed in seeds(10_000) {
            var history = try History(seed: seed)
            for _ in 0..<24 { try history.step() }
            for replica in history.replicas {
                // A client sees what it wrote in the reply: its writes follow each other.
                #expect(replica.set.count <= history.clients.count, "seed \(seed)")
                for value in replica.set.values {
                    #expect(
                        replica.set.values.allSatisfy { history.pasts[value] >> $0 & 1 == 0 },
                        "seed \(seed)")
                }
            }
        }
    }

    @Test func syncIsAssociativeCommutativeAndIdempotent() throws {
        for seed in seeds(10_000) {
            var history = try History(seed: seed)
            for _ in 0..<20 { try history.step() }
            let sets = history.replicas.map(\.set) + history.messages.prefix(3).map(\.set)
            for a in sets {
                #expect(a.synced(with: a) == a, "seed \(seed)")
                for b in sets {
                    #expect(a.synced(with: b) == b.synced(with: a), "seed \(seed)")
                    let c = sets[sets.count / 2]
                    #expect(
                        a.synced(with: b).synced(with: c) == a.synced(with: b.synced(with: c)),
                        "seed \(seed)")
                }
            }
        }
    }

    @Test func orderAndRepetitionOfDeliveryMakeNoDifference() throws {
        for seed in seeds(10_000) {
            var history = try History(seed: seed)
            for _ in 0..<20 { try history.step() }
            let bytes = (0..<2).map { _ in
                var set = NumberSet()
                for message in history.shuffledMessages() { set.sync(message.set) }
                return set.mapValues { [UInt8($0)] }.encoded()
            }
            #expect(bytes[0] == bytes[1], "seed \(seed)")
        }
    }

    @Test func aWriteWithoutAContextReplacesNothing() throws {
        let (a, b) = (try ActorID("a"), try ActorID("b"))
        var set = NumberSet()
        try set.update(1, context: VersionVector(), at: a)
        try set.update(2, context: VersionVector(), at: a)
        #expect(set.values == [2, 1])
        let seen = set.context
        try set.update(3, context: VersionVector(), at: b)
        try set.update(4, context: seen, at: a)
        #expect(set.siblings.map(\.dot.description) == ["a:3", "b:1"])
        #expect(set.values == [4, 3])
        // What was replaced does not come back with a client's late write.
        try set.update(5, context: seen, at: b)
        #expect(set.values == [4, 5, 3])
    }

    @Test func reconcilingLeavesOneValueThatReplacesTheSiblings() throws {
        let (a, b) = (try ActorID("a"), try ActorID("b"))
        var here = NumberSet()
        try here.update(1, context: VersionVector(), at: a)
        #expect(try here.reconcile(at: a) { $0.reduce(0, +) } == nil)
        var there = here
        try here.update(10, context: VersionVector(), at: a)
        try there.update(20, context: here.context, at: b)
        here.sync(there)
        #expect(here.values == [20])
        try there.update(30, context: VersionVector(), at: b)
        here.sync(there)
        let late = here
        #expect(try here.reconcile(at: a) { $0.reduce(0, +) } == Dot(actor: a, counter: 3))
        #expect(here.values == [50])
        here.sync(late)
        #expect(here.values == [50])
        #expect(late.isLess(than: here))
    }

    @Test func aDeleteTakesOnlyWhatWasSeen() throws {
        let actor = try ActorID("a")
        var set = NumberSet()
        try set.update(1, context: VersionVector(), at: actor)
        let seen = set.context
        try set.update(2, context: VersionVector(), at: actor)
        set.discard(seen)
        #expect(set.values == [2])
        // The replica has not heard of what the client saw elsewhere: it will not take it later.
        var other = NumberSet()
        other.discard(set.context)
        other.sync(set)
        #expect(other.values.isEmpty)
        #expect(other.context == set.context)
    }
}
