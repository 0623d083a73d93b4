import CordwoodCausality
import TestSupport
import Testing

@testable import Cordwood

/// What comes from a network: a result or a named error.
@Suite struct ExchangeMessageTests {
    private static func samples() throws -> (ExchangeRequest, ExchangeReply) {
        let (paris, tokyo) = (try ActorID("paris"), try ActorID("tokyo"))
        var seen = VersionVector()
        seen.raise(paris, to: 3)
        var register = SharedRegister()
        for (counter, value) in [(1, [7, 8]), (2, nil), (3, [])] as [(UInt64, [UInt8]?)] {
            try register.write(
                SharedContent(
                    timestamp: HybridTimestamp(rawValue: counter << 16), value: value,
                    isMerge: counter == 3),
                at: Dot(actor: paris, counter: counter), replacing: VersionVector())
        }
        return (
            ExchangeRequest(
                topic: "cart", actor: tokyo, position: ExchangePosition(opening: 5, offset: 9),
                maximumBytes: 1000, seen: seen),
            ExchangeReply(
                topic: "cart", actor: paris, requester: tokyo, start: 9,
                position: ExchangePosition(opening: 5, offset: 12), isEnd: true, seen: seen,
                items: [SharedItem(key: [1], register: register)])
        )
    }

    /// The bytes of `docs/file-formats.md`.
    @Test func haveTheDocumentedBytes() throws {
        let (request, reply) = try Self.samples()
        let cart: [UInt8] = [0, 4] + "cart".utf8
        let (paris, tokyo): ([UInt8], [UInt8]) = ([5] + "paris".utf8, [5] + "tokyo".utf8)
        let seen: [UInt8] = [0, 0, 0, 10, 0x56, 1, 1] + paris + [3]
        let place: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]
        #expect(
            request.encoded()
                == [0x3F, 1] + cart + tokyo + place + [9] + [0, 0, 3, 0xE8] + seen)
        let state: [UInt8] =
            [0x52, 1, 1] + paris + [3, 3]
            + [0, 1, 11, 1, 0, 0, 0, 0, 0, 1, 0, 0, 7, 8]
            + [0, 2, 9, 0, 0, 0, 0, 0, 0, 2, 0, 0]
            + [0, 3, 9, 3, 0, 0, 0, 0, 0, 3, 0, 0]
        let head: [UInt8] =
            [0x21, 1] + cart + paris + tokyo + [0, 0, 0, 0, 0, 0, 0, 9] + place + [12] + [1]
        let item: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, UInt8(state.count)] + state
        #expect(reply.encoded() == head + seen + item)
        #expect(try ExchangeRequest(decoding: request.encoded()) == request)
        #expect(try ExchangeReply(decoding: reply.encoded()) == reply)
        let identity = SharedIdentity(actor: try ActorID("paris"), seen: request.seen)
        #expect(identity.encoded() == [1] + paris + [0x56, 1, 1] + paris + [3])
        #expect(try SharedIdentity(decoding: identity.encoded()) == identity)
    }

    @Test func truncatedAndDamagedOnesAreRefused() async throws {
        let (request, reply) = try Self.samples()
        for count in 0..<request.encoded().count {
            await expectDatabaseError(.malformedMessage) {
                _ = try ExchangeRequest(decoding: Array(request.encoded().prefix(count)))
            }
        }
        for count in 0..<reply.encoded().count {
            await expectDatabaseError(.malformedMessage) {
                _ = try ExchangeReply(decoding: Array(reply.encoded().prefix(count)))
            }
        }
        await expectDatabaseError(.malformedMessage) {
            _ = try ExchangeReply(decoding: reply.encoded() + [0])
        }
        for seed in seeds(2_000) {
            var random = SeededGenerator(seed: seed)
            var bytes = Bool.random(using: &random) ? request.encoded() : reply.encoded()
            let isRequest = bytes[0] == ExchangeRequest.kind
            bytes[Int.random(in: 1..<bytes.count, using: &random)] = UInt8.random(
                in: 0...255, using: &random)
            do {
                let again =
                    isRequest
                    ? try ExchangeRequest(decoding: bytes).encoded()
                    : try ExchangeReply(decoding: bytes).encoded()
                #expect(again == bytes, "seed \(seed)")
            } catch {
                #expect(
                    error.code == .malformedMessage || error.code == .newerFormat, "seed \(seed)")
            }
        }
    }

    @Test func hostileOnesAreRefusedByName() async throws {
        let (request, reply) = try Self.samples()
        // Another version, no actor, a vector of 2^32 actors, 2^32 states.
        var bytes = request.encoded()
        bytes[1] = 2
        await expectDatabaseError(.newerFormat, "found 2") {
            _ = try ExchangeRequest(decoding: bytes)
        }
        bytes = request.encoded()
        bytes[8] = 0
        await expectDatabaseError(.malformedMessage, "invalid actor") {
            _ = try ExchangeRequest(decoding: bytes)
        }
        bytes = Array(request.encoded().dropLast(14))
        bytes += [0, 0, 0, 7, 0x56, 1, 0x80, 0x80, 0x80, 0x80, 0x10]
        await expectDatabaseError(.malformedMessage, "too many actors") {
            _ = try ExchangeRequest(decoding: bytes)
        }
        let head = reply.encoded().prefix(reply.encoded().count - 4 - 9 - 52)
        for count in [[0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 1]] as [[UInt8]] {
            await expectDatabaseError(.malformedMessage) {
                _ = try ExchangeReply(decoding: head + count)
            }
        }
        // A key of no bytes is the database's own.
        await expectDatabaseError(.malformedMessage) {
            let item = SharedItem(key: [], register: reply.items[0].register)
            _ = try ExchangeReply(
                decoding: ExchangeReply(
                    topic: "cart", actor: reply.actor, requester: reply.requester, start: 0,
                    position: .start, isEnd: false, seen: VersionVector(), items: [item]
                ).encoded())
        }
        await expectDatabaseError(.malformedMessage, "found 67108865") {
            _ = try ExchangeReply(decoding: Array(repeating: 0x21, count: 64 << 20 + 1))
        }
    }

    @Test(
        arguments: [
            [], [0], [4, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            [1, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func hostileVersionsAreRefused(bytes: [UInt8]) {
        #expect(throws: CausalityError.self) { try SharedContent(decoding: bytes) }
    }

    /// A position of another opening says nothing: the log may be another one.
    @Test func positionsOfAnotherOpeningDoNotCount() throws {
        func reply(_ opening: UInt64, from start: Int64) throws -> ExchangeReply {
            let (_, reply) = try Self.samples()
            return ExchangeReply(
                topic: reply.topic, actor: reply.actor, requester: reply.requester, start: start,
                position: ExchangePosition(opening: opening, offset: start + 3), isEnd: true,
                seen: reply.seen, items: [])
        }
        var positions = PeerPositions()
        #expect(try !positions.isGapless(reply(5, from: 1)))
        try positions.advance(past: reply(5, from: 0))
        try positions.advance(past: reply(5, from: 3))
        #expect(try positions.isGapless(reply(5, from: 6)))
        #expect(try !positions.isGapless(reply(5, from: 7)))
        #expect(try !positions.isGapless(reply(6, from: 1)))
        #expect(try positions.isGapless(reply(6, from: 0)))
        // A late repetition does not go back; another opening begins anew.
        try positions.advance(past: reply(5, from: 1))
        #expect(try positions[reply(5, from: 0).actor].offset == 6)
        try positions.advance(past: reply(6, from: 0))
        #expect(try positions[reply(6, from: 0).actor].offset == 3)
    }
}
