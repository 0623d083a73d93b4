import CordwoodCausality

/// How far a peer's log was read, by the peer's own count. Another opening counts anew.
struct ExchangePosition: Sendable, Hashable {
    var opening: UInt64
    var offset: Int64

    static let start = ExchangePosition(opening: 0, offset: 0)
}

/// Up to where the log of each peer was applied without a gap.
///
/// A pure value, kept in memory alone: where it is lost, a peer is asked anew, and leaves out what was
/// seen.
struct PeerPositions: Sendable {
    private var positions: [ActorID: ExchangePosition] = [:]

    subscript(peer: ActorID) -> ExchangePosition { positions[peer] ?? .start }

    /// Whether all before the answer was applied, so that what its sender has seen will be seen here.
    /// Every answer to a request without a position is: it leaves out only what was seen.
    func isGapless(_ reply: ExchangeReply) -> Bool { reply.start <= reached(reply) }

    /// Takes note of an answer without a gap, once it is durable.
    mutating func advance(past reply: ExchangeReply) {
        positions[reply.actor] = ExchangePosition(
            opening: reply.position.opening, offset: max(reached(reply), reply.position.offset))
    }

    private func reached(_ reply: ExchangeReply) -> Int64 {
        let known = self[reply.actor]
        return known.opening == reply.position.opening ? known.offset : 0
    }
}
