import CordwoodCausality
import TestSupport
import Testing

@Suite struct EncodingTests {
    private static func vector() throws -> VersionVector {
        var vector = VersionVector()
        for (name, count) in [("paris", 300), ("tokyo", 1), ("a", 127)] {
            for _ in 0..<count { try vector.increment(ActorID(name)) }
        }
        try vector.increment(ActorID([0xFF, 0x00]))
        return vector
    }

    private static func set() throws -> ByteSet {
        var set = ByteSet()
        let (paris, raw) = (try ActorID("paris"), try ActorID([0xFF]))
        try set.update(Array("apples".utf8), context: VersionVector(), at: paris)
        try set.update([], context: set.context, at: paris)
        try set.update([0x00, 0x80], context: VersionVector(), at: raw)
        try set.update(Array("größe \"1\"".utf8), context: VersionVector(), at: raw)
        set.discard(ByteSet(context: try vector()).context)
        try set.update(Array("pears".utf8), context: VersionVector(), at: paris)
        try set.update(Array("plums".utf8), context: VersionVector(), at: paris)
        return set
    }

    @Test func formsAreThoseOfTheGoldenFiles() throws {
        let (vector, set) = (try Self.vector(), try Self.set())
        #expect(vector.encoded() == (try Golden.bytes("version-vector.hex")))
        #expect(set.encoded() == (try Golden.bytes("dotted-version-vector-set.hex")))
        #expect(try Golden.json(vector) == Golden.text("version-vector.json"))
        #expect(try Golden.json(set) == Golden.text("dotted-version-vector-set.json"))
        let stamp = try HybridTimestamp(milliseconds: 1_700_000_000_000, counter: 515)
        #expect(stamp.encoded() == [0x01, 0x8B, 0xCF, 0xE5, 0x68, 0x00, 0x02, 0x03])
        #expect(try Golden.json([stamp]) == "[\n  \"111411200000000515\"\n]\n")
    }

    @Test func goldenFilesAreRead() throws {
        let (vector, set) = (try Self.vector(), try Self.set())
        #expect(try VersionVector(decoding: Golden.bytes("version-vector.hex")) == vector)
        #expect(try ByteSet(decoding: Golden.bytes("dotted-version-vector-set.hex")) == set)
        #expect(try Golden.decode(Golden.text("version-vector.json")) == vector)
        #expect(try Golden.decode(Golden.text("dotted-version-vector-set.json")) == set)
        let stamp = HybridTimestamp(rawValue: 0x0102_0304_0506_0708)
        #expect(try HybridTimestamp(decoding: stamp.encoded()) == stamp)
        #expect(try Golden.decode("[\"72623859790382856\"]") == [stamp])
    }

    @Test func randomValuesComeBack() throws {
        let actors = try sampleActors()
        for seed in seeds(1_000) {
            var random = SeededGenerator(seed: seed)
            let vector = try random.vector(actors).vector
            #expect(try VersionVector(decoding: vector.encoded()) == vector, "seed \(seed)")
            #expect(try Golden.decode(Golden.json(vector)) == vector, "seed \(seed)")
            var history = try History(seed: seed)
            for _ in 0..<20 { try history.step() }
            for replica in history.replicas {
                let set = replica.set.mapValues { [UInt8($0), 0xC3] }
                #expect(try ByteSet(decoding: set.encoded()) == set, "seed \(seed)")
                #expect(try Golden.decode(Golden.json(set)) == set, "seed \(seed)")
            }
        }
    }

    @Test func everyTruncationIsRefused() throws {
        for bytes in [try Self.vector().encoded(), try Self.set().encoded()] {
            for count in 0..<bytes.count {
                let cut = Array(bytes.prefix(count))
                let kind = bytes[0]
                #expect {
                    if kind == 0x56 {
                        _ = try VersionVector(decoding: cut)
                    } else {
                        _ = try ByteSet(decoding: cut)
                    }
                } throws: { ($0 as? CausalityError)?.code == .truncated }
            }
        }
        for count in [0, 7, 9] {
            #expect(throws: CausalityError.self) {
                try HybridTimestamp(decoding: Array(repeating: 1, count: count))
            }
        }
    }

    /// Whatever is read is written in the same bytes: there is one form of each value.
    @Test func damagedBytesAreRefusedOrAreAnotherValue() throws {
        let (vector, set) = (try Self.vector().encoded(), try Self.set().encoded())
        for seed in seeds(5_000) {
            var random = SeededGenerator(seed: seed)
            var bytes = Bool.random(using: &random) ? vector : set
            let kind = bytes[0]
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let place = Int.random(in: 1..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            do throws(CausalityError) {
                let again =
                    kind == 0x56
                    ? try VersionVector(decoding: bytes).encoded()
                    : try ByteSet(decoding: bytes).encoded()
                #expect(again == bytes, "seed \(seed)")
            } catch { #expect(!error.detail.isEmpty) }
        }
    }

    private static let hostileVectors: [([UInt8], CausalityError.Code)] = [
        ([0x44, 1, 0], .unknownFormat),
        ([0x56, 2, 0], .unknownFormat),
        ([0x56, 1, 0, 0], .trailingBytes),
        // A count of 2^32, and one within the cap that the bytes cannot hold.
        ([0x56, 1, 0x80, 0x80, 0x80, 0x80, 0x10], .tooManyActors),
        ([0x56, 1, 0x80, 0x08, 1, 0x61, 1], .truncated),
        ([0x56, 1, 2, 1, 0x61, 1, 1, 0x61, 2], .duplicateActor),
        ([0x56, 1, 2, 1, 0x62, 1, 1, 0x61, 2], .unsortedActors),
        ([0x56, 1, 1, 0, 1, 1], .invalidActor),
        ([0x56, 1, 1, 1, 0x61, 0], .malformed),
        // A number in more bytes than it needs, and one of more than 64 bits.
        ([0x56, 1, 1, 1, 0x61, 0x81, 0x00], .malformed),
        ([0x56, 1, 1, 1, 0x61] + Array(repeating: 0xFF, count: 9) + [0x02], .malformed),
        ([0x56, 1, 1, 1, 0x61] + Array(repeating: 0xFF, count: 11), .malformed),
    ]

    @Test(arguments: hostileVectors)
    func hostileVectorsAreRefusedByName(bytes: [UInt8], code: CausalityError.Code) {
        #expect { try VersionVector(decoding: bytes) } throws: {
            ($0 as? CausalityError)?.code == code
        }
    }

    private static let hostileSets: [([UInt8], CausalityError.Code)] = [
        ([0x56, 1, 0], .unknownFormat),
        ([0x44, 1, 0x80, 0x80, 0x80, 0x80, 0x10], .tooManyActors),
        // More values than events.
        ([0x44, 1, 1, 1, 0x61, 1, 2, 1, 7, 1, 8], .malformed),
        ([0x44, 1, 1, 1, 0x61, 5, 0x80, 0x80, 0x80, 0x80, 0x10], .tooManyValues),
        ([0x44, 1, 1, 1, 0x61, 5, 3, 0, 0], .truncated),
        // A value of 2^64 - 1 bytes.
        ([0x44, 1, 1, 1, 0x61, 5, 1] + Array(repeating: 0xFF, count: 9) + [0x01], .truncated),
        ([0x44, 1, 2, 1, 0x61, 1, 0, 1, 0x61, 1, 0], .duplicateActor),
    ]

    @Test(arguments: hostileSets)
    func hostileSetsAreRefusedByName(bytes: [UInt8], code: CausalityError.Code) {
        #expect { try ByteSet(decoding: bytes) } throws: {
            ($0 as? CausalityError)?.code == code
        }
    }

    @Test func limitsAreTheCallers() throws {
        let (vector, set) = (try Self.vector().encoded(), try Self.set().encoded())
        let three = CausalityLimits(actors: 3)
        #expect(throws: CausalityError.self) {
            try VersionVector(decoding: vector, limits: three)
        }
        #expect(throws: CausalityError.self) { try ByteSet(decoding: set, limits: three) }
        #expect {
            try ByteSet(decoding: set, limits: CausalityLimits(values: 3))
        } throws: { ($0 as? CausalityError)?.code == .tooManyValues }
        #expect(try VersionVector(decoding: vector, limits: .init(actors: 4)) == Self.vector())
    }

    private static let hostileJSON: [(String, CausalityError.Code)] = [
        (#"{"version":2,"entries":[]}"#, .unknownFormat),
        (#"{"version":1,"entries":[{"actor":"","counter":"1"}]}"#, .invalidActor),
        (#"{"version":1,"entries":[{"actor":"a","counter":"0"}]}"#, .malformed),
        (#"{"version":1,"entries":[{"actor":"a","counter":"01"}]}"#, .malformed),
        (#"{"version":1,"entries":[{"actor":"a","counter":"-1"}]}"#, .malformed),
        (#"{"version":1,"entries":[{"actor":"a","counter":"18446744073709551616"}]}"#, .malformed),
        (#"{"version":1,"entries":[{"actorHex":"6","counter":"1"}]}"#, .malformed),
        (#"{"version":1,"entries":[{"actorHex":"6G","counter":"1"}]}"#, .malformed),
        (
            #"{"version":1,"entries":[{"actor":"a","counter":"1"},{"actorHex":"61","counter":"1"}]}"#,
            .duplicateActor
        ),
        (
            #"{"version":1,"entries":[{"actor":"b","counter":"1"},{"actor":"a","counter":"1"}]}"#,
            .unsortedActors
        ),
    ]

    @Test(arguments: hostileJSON)
    func hostileJSONIsRefusedByName(text: String, code: CausalityError.Code) {
        #expect { try Golden.decode(text, as: VersionVector.self) } throws: {
            ($0 as? CausalityError)?.code == code
        }
    }

    @Test func aSetInJSONHasNoMoreValuesThanEvents() {
        let text = """
            {"version":1,"entries":[{"actor":"a","counter":"1","values":[{"value":"x"},{"value":"y"}]}]}
            """
        #expect { try Golden.decode(text, as: ByteSet.self) } throws: {
            ($0 as? CausalityError)?.code == .malformed
        }
    }
}
