import CordwoodCausality
import Foundation
import TestSupport
import Testing

@Suite struct VersionVectorTests {
    /// The order by definition: each count held against each.
    private static func order(_ a: [ActorID: UInt64], _ b: [ActorID: UInt64]) -> CausalOrder {
        let actors = Set(a.keys).union(b.keys)
        let isAhead = actors.contains { a[$0, default: 0] > b[$0, default: 0] }
        let isBehind = actors.contains { a[$0, default: 0] < b[$0, default: 0] }
        return isAhead ? (isBehind ? .concurrent : .after) : (isBehind ? .before : .equal)
    }

    private static let opposite: [CausalOrder: CausalOrder] = [
        .equal: .equal, .before: .after, .after: .before, .concurrent: .concurrent,
    ]

    @Test func comparesAndMergesAsItsDefinition() throws {
        let actors = try sampleActors()
        for seed in seeds(10_000) {
            var random = SeededGenerator(seed: seed)
            let (a, modelA) = try random.vector(actors)
            let (b, modelB) = try random.vector(actors)
            #expect(a.compare(b) == Self.order(modelA, modelB), "seed \(seed)")
            #expect(a.contains(b) == [.equal, .after].contains(a.compare(b)), "seed \(seed)")
            let merged = modelA.merging(modelB) { max($0, $1) }
            let entries = merged.map { Dot(actor: $0, counter: $1) }.sorted()
            #expect(a.merging(b).entries == entries, "seed \(seed)")
            #expect(a.actorCount == modelA.count, "seed \(seed)")
            #expect(actors.allSatisfy { a[$0] == modelA[$0, default: 0] }, "seed \(seed)")
        }
    }

    @Test func mergeIsAssociativeCommutativeIdempotentAndTheLeastUpperBound() throws {
        let actors = try sampleActors()
        for seed in seeds(10_000) {
            var random = SeededGenerator(seed: seed)
            let (a, b, c) = (
                try random.vector(actors).vector, try random.vector(actors).vector,
                try random.vector(actors).vector
            )
            #expect(a.merging(b).merging(c) == a.merging(b.merging(c)), "seed \(seed)")
            #expect(a.merging(b) == b.merging(a), "seed \(seed)")
            #expect(a.merging(a) == a, "seed \(seed)")
            #expect(a.merging(b).contains(a) && a.merging(b).contains(b), "seed \(seed)")
            if c.contains(a) && c.contains(b) {
                #expect(c.contains(a.merging(b)), "seed \(seed)")
            }
        }
    }

    @Test func beforeIsAStrictPartialOrder() throws {
        let actors = Array(try sampleActors().prefix(3))
        for seed in seeds(10_000) {
            var random = SeededGenerator(seed: seed)
            let (a, b, c) = (
                try random.vector(actors).vector, try random.vector(actors).vector,
                try random.vector(actors).vector
            )
            #expect(a.compare(a) == .equal, "seed \(seed)")
            #expect(b.compare(a) == Self.opposite[a.compare(b)], "seed \(seed)")
            #expect((a.compare(b) == .equal) == (a == b), "seed \(seed)")
            if a.compare(b) == .before && b.compare(c) == .before {
                #expect(a.compare(c) == .before, "seed \(seed)")
            }
        }
    }

    @Test func mergingLeavesCopiesAlone() throws {
        let (a, b) = (try ActorID("a"), try ActorID("b"))
        var vector = VersionVector()
        try vector.increment(a)
        let copy = vector
        var other = copy
        try other.increment(a)
        vector.merge(other)
        #expect(copy[a] == 1)
        #expect(vector[a] == 2)
        try other.increment(b)
        vector.merge(other)
        #expect(vector.entries.map(\.counter) == [2, 1])
        #expect(vector.contains(Dot(actor: b, counter: 1)))
        #expect(!vector.contains(Dot(actor: b, counter: 2)))
    }

    @Test func onlyRetiredActorsArePruned() throws {
        let actors = try sampleActors()
        for seed in seeds(200) {
            var random = SeededGenerator(seed: seed)
            let (vector, model) = try random.vector(actors)
            let retired = Set(actors.shuffled(using: &random).prefix(3))
            var pruned = vector
            pruned.prune(retired: retired)
            let left = model.filter { !retired.contains($0.key) }
            #expect(
                pruned.entries == left.map { Dot(actor: $0, counter: $1) }.sorted(), "seed \(seed)")
        }
    }

    @Test(arguments: [0, 256, 10_000]) func idsOfNoOrTooManyBytesAreRefused(count: Int) {
        #expect {
            try ActorID(Array(repeating: 1, count: count))
        } throws: { error in
            (error as? CausalityError)?.code == .invalidActor
                && "\(error)".contains("found \(count)")
        }
    }

    @Test func aCounterThatIsFullDoesNotStartAgain() throws {
        let json = """
            {"version":1,"entries":[{"actor":"a","counter":"\(UInt64.max)"}]}
            """
        var vector: VersionVector = try Golden.decode(json)
        let before = vector
        let actor = try ActorID("a")
        #expect(throws: CausalityError.self) { try vector.increment(actor) }
        #expect(vector == before)
        var set = ByteSet(context: before)
        #expect {
            try set.update([1], context: VersionVector(), at: actor)
        } throws: { ($0 as? CausalityError)?.code == .counterOverflow }
        #expect(set == ByteSet(context: before))
    }
}
