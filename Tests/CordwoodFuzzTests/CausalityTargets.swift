import CordwoodCausality

@testable import Cordwood
@testable import CordwoodLog

extension FuzzTarget {
    /// Causal values, records of shared topics and the messages of their exchanges: what is read is
    /// written in the same bytes, and is applied or refused.
    static let causality = FuzzTarget(name: "causality") { input in
        guard let first = input.first else { return }
        let bytes = [UInt8](input.dropFirst())
        switch first % 6 {
        case 0:
            guard let vector = try? VersionVector(decoding: bytes) else { return }
            precondition(vector.encoded() == bytes, "a vector reads back as another")
            precondition(vector.compare(vector.merging(vector)) == .equal)
        case 1:
            typealias Set = DottedVersionVectorSet<[UInt8]>
            guard let set = try? Set(decoding: bytes) else { return }
            precondition(set.encoded() == bytes, "a set reads back as another")
            precondition(set.synced(with: set) == set)
        case 2:
            guard let register = try? SharedRegister(decodingState: bytes) else { return }
            precondition(register.encodedState() == bytes, "a register reads back as another")
        case 3:
            guard let request = try? ExchangeRequest(decoding: bytes) else { return }
            precondition(request.encoded() == bytes, "a request reads back as another")
            var state = SharedState(offset: 0)
            state.skip(to: 1)
            _ = state.reply(to: request, from: request.actor, opening: 1)
        case 4:
            guard let reply = try? ExchangeReply(decoding: bytes) else { return }
            precondition(reply.encoded() == bytes, "a batch reads back as another")
            apply(reply)
        default:
            let rest = bytes.dropFirst()
            let cut = min(rest.count, Int(bytes.first ?? 0))
            let record = StoredRecord(
                offset: 1, timestamp: 1, key: [UInt8](rest.prefix(cut)),
                value: [UInt8](rest.dropFirst(cut)), headers: [])
            var state = SharedState(offset: 0)
            _ = try? state.fold(record, of: "fuzzing")
        }
    }

    private static func apply(_ reply: ExchangeReply) {
        let actor = ActorID(random: 0, 0)
        var state = SharedState(offset: 0)
        var positions = PeerPositions()
        // The second time nothing is new.
        for turn in 0..<2 {
            var draft = SharedDraft(actor, over: state, maximumClockDriftMilliseconds: 60_000)
            let resolution = SharedTopicConfiguration.Resolution.merge { $0.last?.value }
            do {
                try draft.apply(
                    reply, isGapless: positions.isGapless(reply), over: state, resolution,
                    now: 1 << 41)
            } catch { return }
            if turn == 1 {
                precondition(draft.order.isEmpty, "a repetition changes something")
                return
            }
            state.install(draft, from: state.offset)
            positions.advance(past: reply)
        }
    }
}
