/// The producers' states as a log's writer keeps them: as the next append will meet them, and as
/// they are at the published end, to which a failed group goes back.
struct ProducerLedger {
    /// After all that is queued.
    private(set) var queued: ProducerStates
    /// After all that is written.
    private(set) var published: ProducerSnapshot

    init(_ published: ProducerSnapshot) {
        self.published = published
        queued = published.states
    }

    /// Decides about a batch and takes it in when it is to be appended at `offset`. O(1).
    mutating func admit(
        _ batch: ProducerBatch, at offset: Int64
    ) throws(LogError) -> ProducerStates.Decision {
        let decision = try queued.check(batch)
        if decision == .append { queued.absorb(batch, at: offset) }
        return decision
    }

    /// Takes in batches that were written, in their order; nil when no producer wrote any.
    mutating func publish(_ batches: [RecordBatch]) -> TransactionChange? {
        var change: TransactionChange?
        for batch in batches {
            // Most batches have none, and this is on the way of each.
            guard batch.hasProducer else { continue }
            let completed = published.absorb(batch)
            if change == nil { change = TransactionChange() }
            if let completed { change?.completed.append(completed) }
        }
        if let last = batches.last { published.offset = last.lastOffset + 1 }
        change?.firstUndecided = published.states.firstUndecided
        return change
    }

    /// Forgets what was queued and not written.
    mutating func rollBack() { queued = published.states }

    /// Goes over to a new segment.
    mutating func startSegment(at base: Int64) { published.startSegment(at: base) }

    /// Forgets idle producers; one that has batches in the queue is not idle.
    mutating func expire(now: Int64, after idle: Int) {
        let gone = queued.producers.filter { id, producer in
            ProducerStates.isExpired(producer, now: now, after: idle)
                && published.states.producers[id] == producer
        }
        for id in gone.keys {
            queued.producers[id] = nil
            published.states.producers[id] = nil
        }
    }
}
