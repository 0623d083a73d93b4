import CordwoodCausality

extension SharedTopic {
    /// What an exchange did.
    public struct ExchangeReport: Sendable, Hashable {
        /// States of keys that were sent, in both directions.
        public var keys = 0
        /// About how many bytes these took.
        public var bytes = 0

        static func + (a: ExchangeReport, b: ExchangeReport) -> ExchangeReport {
            ExchangeReport(keys: a.keys + b.keys, bytes: a.bytes + b.bytes)
        }
    }

    /// Gives each of two databases what it lacks of the other: first this one, then `peer`, which
    /// thereby gets what this one made of conflicts.
    ///
    /// Batch by batch, each durable before the next is asked for. Where it ends early, by an error or
    /// because the task was cancelled, what was applied stays, and the next exchange goes on behind it.
    ///
    /// - Throws: what ``apply(_:)`` throws, and ``DatabaseError/Code/cancelled``.
    @discardableResult
    public func exchange(
        with peer: SharedTopic, batchBytes: Int = 1 << 20
    ) async throws(DatabaseError) -> ExchangeReport {
        let received = try await pull(from: peer, batchBytes: batchBytes)
        return try await received + peer.pull(from: self, batchBytes: batchBytes)
    }

    /// One direction of an exchange: this database gets what it lacks of `peer`.
    @discardableResult
    public func pull(
        from peer: SharedTopic, batchBytes: Int = 1 << 20
    ) async throws(DatabaseError) -> ExchangeReport {
        var report = ExchangeReport()
        let from = await peer.actor
        while true {
            if Task.isCancelled { throw DatabaseError(.cancelled, "an exchange of \(name)") }
            let reply = try await peer.missing(
                for: exchangeRequest(from: from, batchBytes: batchBytes))
            report = report + ExchangeReport(keys: reply.keyCount, bytes: reply.byteCount)
            if try await apply(reply) { return report }
        }
    }

    // MARK: The messages, for a network

    /// *What do you have that I lack?*
    ///
    /// - Parameters:
    ///   - peer: the ``actor`` of whom it is asked, to go on where its last batch ended; nil where
    ///     that is not known, which begins anew and leaves out what this database has.
    ///   - batchBytes: about how many bytes the answer may have; counts as 1 to 4 MiB.
    public func exchangeRequest(
        from peer: ActorID? = nil, batchBytes: Int = 1 << 20
    ) -> ExchangeRequest {
        ExchangeRequest(
            topic: name, actor: actor, position: peer.map { positions[$0] } ?? .start,
            maximumBytes: min(max(batchBytes, 1), Self.maximumReplyBytes), seen: seen)
    }

    /// *These are missing.* O(keys that have changed since the request's position).
    ///
    /// - Throws: ``DatabaseError/Code/sameActor``, ``DatabaseError/Code/actorReused``, and
    ///   ``DatabaseError/Code/malformedMessage`` for a request about another topic.
    public func missing(for request: ExchangeRequest) throws(DatabaseError) -> ExchangeReply {
        try check(request.topic, request.actor)
        try draft().check(request.seen)
        return state.reply(to: request, from: actor, opening: opening)
    }

    /// Takes a peer's answer to a request of this database; durable when this returns. Returns whether
    /// this database now has all that the peer had.
    ///
    /// Applying one twice, or late, or of several peers in any order, changes nothing that applying
    /// it once did not. One that came while an earlier one is missing is merged, but does not count as
    /// progress: what is missing will be asked for.
    ///
    /// - Throws: with nothing applied, ``DatabaseError/Code/sameActor``,
    ///   ``DatabaseError/Code/actorReused``, ``DatabaseError/Code/clockAhead``,
    ///   ``DatabaseError/Code/clockWentBack``, ``DatabaseError/Code/valueTooLarge`` of a merge,
    ///   ``DatabaseError/Code/tooManySiblings``, ``DatabaseError/Code/tooManyActors``, and
    ///   ``DatabaseError/Code/malformedMessage`` for an answer about another topic or to another
    ///   database; and what the log says.
    @discardableResult
    public func apply(_ reply: ExchangeReply) async throws(DatabaseError) -> Bool {
        try await turns.withLock { () async throws(DatabaseError) in
            try check(reply.topic, reply.actor)
            guard reply.requester == actor else {
                throw DatabaseError(
                    .malformedMessage,
                    "expected an answer to \(actor), found one to \(reply.requester)")
            }
            try await self.catchUp()
            let isGapless = self.positions.isGapless(reply)
            var draft = self.draft()
            try draft.apply(
                reply, isGapless: isGapless, over: self.state, self.configuration.resolution,
                now: self.clock.millisecondsNow())
            try await self.append(draft)
            if isGapless { self.positions.advance(past: reply) }
            return isGapless && reply.isEnd
        }
    }

    private func check(_ topic: String, _ peer: ActorID) throws(DatabaseError) {
        guard topic == name else {
            throw DatabaseError(
                .malformedMessage, "expected one about topic \(name), found one about \(topic)")
        }
        guard peer != actor else {
            throw DatabaseError(
                .sameActor,
                "topic \(name): the peer counts its events under \(actor), as this database does: one "
                    + "of them is a copy of the other")
        }
    }
}
