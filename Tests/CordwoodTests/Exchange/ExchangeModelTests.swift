import CordwoodCausality
import TestSupport
import Testing

@testable import Cordwood

/// Random histories of two to four databases: writes with old and new contexts, deletes, answers that
/// are lost, late, repeated and out of order, power cuts in the middle of an append, compactions.
@Suite(.timeLimit(.minutes(10))) struct ExchangeModelTests {
    #if DEBUG
    private static let histories = 100
    #else
    private static let histories = 10_000
    #endif

    @Test func byTheLastWriter() throws {
        for seed in seeds(Self.histories) {
            var model = try ExchangeModel(seed: seed, .lastWriter)
            try Self.run(&model)
            let replica = model.replicas[0]
            for key in ExchangeModel.keys {
                let versions = replica.state.register([key]).versions
                let newest = versions.max { ($0.timestamp, $0.dot) < ($1.timestamp, $1.dot) }
                let values = model.resolution.values(of: versions)
                #expect(values == (newest?.value.map { [$0] } ?? []), "seed \(seed)")
                // Also newer than everything that it replaced.
                for dot in replica.known[key] ?? [] where newest?.dot.actor == dot.actor {
                    #expect(newest!.dot.counter >= dot.counter, "seed \(seed)")
                }
            }
        }
    }

    @Test func bySiblings() throws {
        for seed in seeds(Self.histories) {
            var model = try ExchangeModel(seed: seed, .siblings)
            try Self.run(&model)
            for key in ExchangeModel.keys {
                let values = model.resolution.values(
                    of: model.replicas[0].state.register([key]).versions)
                let live = Self.live(model, model.replicas[0], key)
                    .compactMap { model.events[$0]?.value }
                #expect(Set(values) == Set(live), "seed \(seed)")
                #expect(values.count == live.count, "seed \(seed)")
            }
        }
    }

    /// Values are sets of numbers, and the merge is their union: what no caller has replaced is in it.
    @Test func byAMerge() throws {
        for seed in seeds(Self.histories) {
            var model = try ExchangeModel(seed: seed, .merge(Self.union))
            try Self.run(&model)
            let known = model.replicas[0].known
            for key in ExchangeModel.keys {
                let values = model.resolution.values(
                    of: model.replicas[0].state.register([key]).versions)
                #expect(values.count <= 1, "seed \(seed)")
                let written = (known[key] ?? []).filter { model.events[$0]?.isMerge == false }
                let replaced = written.reduce(into: Set<Dot>()) {
                    $0.formUnion(model.events[$1]!.past)
                }
                let merged = Self.numbers(values.first ?? [])
                for dot in written where !replaced.contains(dot) {
                    guard let value = model.events[dot]?.value else { continue }
                    #expect(merged.isSuperset(of: Self.numbers(value)), "seed \(seed)")
                }
            }
            #expect(model.mergeCount <= model.writeCount * model.replicas.count, "seed \(seed)")
        }
    }

    /// A merge that never gives the same again for what was merged differently: it still ends.
    @Test func anyMergeEnds() throws {
        for seed in seeds(Self.histories / 2) {
            var model = try ExchangeModel(
                seed: seed,
                .merge { versions in
                    let sum = versions.flatMap { $0.value ?? [] }.reduce(UInt64(1)) {
                        $0 &* 31 &+ UInt64($1)
                    }
                    return withUnsafeBytes(of: sum) { Array($0) }
                })
            try Self.run(&model)
            #expect(model.mergeCount <= model.writeCount * model.replicas.count, "seed \(seed)")
        }
    }

    // MARK: Checks

    private static func run(_ model: inout ExchangeModel) throws {
        for _ in 0..<24 {
            try model.step()
            for replica in model.replicas { check(model, replica) }
        }
        try model.settle()
        for replica in model.replicas {
            check(model, replica)
            #expect(
                replica.state.canonicalBytes() == model.replicas[0].state.canonicalBytes(),
                "seed \(model.random.seed)")
            #expect(replica.known == model.replicas[0].known, "seed \(model.random.seed)")
            #expect(
                replica.state.seen == model.replicas[0].state.seen, "seed \(model.random.seed)")
        }
    }

    /// The siblings are the events that no known event has in its past: not one more or less, and so
    /// no more than were written at the same time. What counts as seen is known.
    private static func check(_ model: ExchangeModel, _ replica: ExchangeModel.Replica) {
        let seed = model.random.seed
        for key in ExchangeModel.keys {
            let siblings = replica.state.register([key]).siblings
            #expect(Set(siblings.map(\.dot)) == live(model, replica, key), "seed \(seed)")
            for sibling in siblings {
                let event = model.events[sibling.dot]
                #expect(sibling.value.value == event?.value, "seed \(seed)")
                #expect(sibling.value.isMerge == event?.isMerge, "seed \(seed)")
            }
        }
        for (dot, event) in model.events where replica.state.seen.contains(dot) {
            #expect(replica.known[event.key]?.contains(dot) ?? false, "\(dot), seed \(seed)")
        }
    }

    private static func live(
        _ model: ExchangeModel, _ replica: ExchangeModel.Replica, _ key: UInt8
    ) -> Set<Dot> {
        let known = replica.known[key] ?? []
        return known.reduce(into: known) { $0.subtract(model.events[$1]?.past ?? []) }
    }

    private static func numbers(_ value: [UInt8]) -> Set<Int> {
        Set(
            stride(from: 0, to: value.count, by: 2).map { Int(value[$0]) << 8 | Int(value[$0 + 1]) }
        )
    }

    @Sendable private static func union(_ versions: [SharedVersion]) -> [UInt8]? {
        let all = versions.reduce(into: Set<Int>()) { $0.formUnion(numbers($1.value ?? [])) }
        return all.sorted().flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
    }
}
