import CordwoodCausality
import TestSupport
import Testing

@Suite struct MultiValueRegisterTests {
    private typealias Register = MultiValueRegister<[UInt8]>

    #if DEBUG
    private static let histories = 300
    #else
    private static let histories = 10_000
    #endif

    /// Two keys at three replicas that count their events through both, and the events of each key that
    /// each replica knows of: its own set of dots, with what each had seen.
    private struct History {
        var random: SeededGenerator
        var registers: [[Register]]
        var known: [[Set<Dot>]]
        var pasts: [Dot: Set<Dot>] = [:]
        private var counters: [UInt64]
        private let actors: [ActorID]

        init(seed: UInt64) throws {
            random = SeededGenerator(seed: seed)
            actors = try (0..<3).map { try ActorID("r\($0)") }
            counters = [0, 0, 0]
            registers = Array(repeating: [Register(), Register()], count: 3)
            known = Array(repeating: [[], []], count: 3)
        }

        mutating func step() throws {
            let (replica, key) = (
                Int.random(in: 0..<3, using: &random), Int.random(in: 0..<2, using: &random)
            )
            if Bool.random(using: &random) {
                counters[replica] += 1
                let dot = Dot(actor: actors[replica], counter: counters[replica])
                let replaces = Int.random(in: 0..<3, using: &random) > 0
                try registers[replica][key].write(
                    [UInt8(replica), UInt8(counters[replica])], at: dot,
                    replacing: replaces ? registers[replica][key].context : VersionVector())
                pasts[dot] = replaces ? known[replica][key] : []
                known[replica][key].insert(dot)
            } else {
                let peer = Int.random(in: 0..<3, using: &random)
                registers[replica][key].merge(registers[peer][key])
                known[replica][key].formUnion(known[peer][key])
            }
        }
    }

    @Test func holdsExactlyWhatTheFullHistoryHolds() throws {
        for seed in seeds(Self.histories) {
            var history = try History(seed: seed)
            for _ in 0..<16 { try history.step() }
            for (registers, known) in zip(history.registers, history.known) {
                for (register, known) in zip(registers, known) {
                    let live = known.reduce(into: known) { $0.subtract(history.pasts[$1]!) }
                    #expect(Set(register.siblings.map(\.dot)) == live, "seed \(seed)")
                    #expect(register.siblings.map(\.dot) == live.sorted(), "seed \(seed)")
                    for dot in known { #expect(register.context.contains(dot), "seed \(seed)") }
                }
            }
        }
    }

    @Test func mergingIsAJoin() throws {
        func merged(_ a: Register, _ b: Register) -> Register {
            var result = a
            result.merge(b)
            return result
        }
        for seed in seeds(Self.histories) {
            var history = try History(seed: seed)
            for _ in 0..<16 { try history.step() }
            let (a, b, c) = (
                history.registers[0][0], history.registers[1][0], history.registers[2][0]
            )
            #expect(merged(a, a) == a, "seed \(seed)")
            #expect(merged(a, b) == merged(b, a), "seed \(seed)")
            #expect(merged(merged(a, b), c) == merged(a, merged(b, c)), "seed \(seed)")
            #expect(merged(a, b).encoded() == merged(b, a).encoded(), "seed \(seed)")
            #expect(try Register(decoding: merged(a, b).encoded()) == merged(a, b), "seed \(seed)")
        }
    }

    @Test func anEventIsWrittenOnce() throws {
        let actor = try ActorID("paris")
        var register = Register()
        try register.write([1], at: Dot(actor: actor, counter: 7), replacing: VersionVector())
        let before = register
        for counter in [7, 6, 0] as [UInt64] {
            #expect(throws: CausalityError.self) {
                try register.write(
                    [2], at: Dot(actor: actor, counter: counter), replacing: VersionVector())
            }
        }
        #expect(register == before)
    }

    // MARK: Bytes

    private static func sample() throws -> Register {
        let (paris, tokyo) = (try ActorID("paris"), try ActorID("tokyo"))
        var register = Register()
        try register.write([1], at: Dot(actor: paris, counter: 300), replacing: VersionVector())
        try register.write([], at: Dot(actor: tokyo, counter: 2), replacing: VersionVector())
        try register.write([7, 8], at: Dot(actor: tokyo, counter: 5), replacing: VersionVector())
        var seen = VersionVector()
        seen.raise(paris, to: 300)
        try register.write([9], at: Dot(actor: paris, counter: 302), replacing: seen)
        return register
    }

    @Test func theFormIsThatOfTheGoldenFile() throws {
        #expect(try Self.sample().encoded() == Golden.bytes("multi-value-register.hex"))
        #expect(try Register(decoding: Golden.bytes("multi-value-register.hex")) == Self.sample())
    }

    private static let hostile: [([UInt8], CausalityError.Code)] = [
        ([0x44, 1, 0, 0], .unknownFormat),
        ([0x52, 2, 0, 0], .unknownFormat),
        ([0x52, 1, 0, 0, 0], .trailingBytes),
        ([0x52, 1, 0x80, 0x80, 0x80, 0x80, 0x10], .tooManyActors),
        ([0x52, 1, 2, 1, 0x61, 1, 1, 0x61, 2, 0], .duplicateActor),
        ([0x52, 1, 1, 0, 1, 1, 0], .invalidActor),
        ([0x52, 1, 1, 1, 0x61, 0, 0], .malformed),
        ([0x52, 1, 1, 1, 0x61, 9, 0x80, 0x80, 0x80, 0x80, 0x10], .tooManyValues),
        ([0x52, 1, 1, 1, 0x61, 9, 4, 0, 1, 0], .truncated),
        // An actor that there is not, an event that is not in the context, the event 0.
        ([0x52, 1, 1, 1, 0x61, 9, 1, 1, 1, 0], .malformed),
        ([0x52, 1, 1, 1, 0x61, 9, 1, 0, 10, 0], .malformed),
        ([0x52, 1, 1, 1, 0x61, 9, 1, 0, 0, 0], .malformed),
        // One event twice, and two in the wrong order.
        ([0x52, 1, 1, 1, 0x61, 9, 2, 0, 1, 0, 0, 1, 0], .malformed),
        ([0x52, 1, 1, 1, 0x61, 9, 2, 0, 2, 0, 0, 1, 0], .malformed),
        ([0x52, 1, 1, 1, 0x61, 9, 1, 0, 1] + Array(repeating: 0xFF, count: 9) + [1], .truncated),
    ]

    @Test(arguments: hostile)
    func hostileBytesAreRefusedByName(bytes: [UInt8], code: CausalityError.Code) {
        #expect { try Register(decoding: bytes) } throws: {
            ($0 as? CausalityError)?.code == code
        }
    }

    @Test func damagedBytesAreRefusedOrAreAnotherValue() throws {
        let sample = try Self.sample().encoded()
        for count in 0..<sample.count {
            #expect(throws: CausalityError.self) {
                try Register(decoding: Array(sample.prefix(count)))
            }
        }
        for seed in seeds(2_000) {
            var random = SeededGenerator(seed: seed)
            var bytes = sample
            bytes[Int.random(in: 1..<bytes.count, using: &random)] = UInt8.random(
                in: 0...255, using: &random)
            do throws(CausalityError) {
                #expect(try Register(decoding: bytes).encoded() == bytes, "seed \(seed)")
            } catch { #expect(!error.detail.isEmpty) }
        }
    }
}
