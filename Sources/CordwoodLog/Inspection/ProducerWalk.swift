/// What the batches of a log say of its producers and transactions, as far as a walk over them has
/// come. Pure.
///
/// The log itself knows more in some cases: what damage has taken, what compaction has dropped, and
/// which producers have expired. So the walk keeps in mind whether its state is exact, and goes on
/// from a snapshot where it is not.
struct ProducerWalk {
    private(set) var state: ProducerSnapshot
    /// Whether the state is that of the log, but for producers that have expired there.
    private(set) var isExact: Bool

    /// Begins before the batch at `offset`. `isExact` says that no producer wrote before it.
    init(at offset: Int64, isExact: Bool) {
        state = ProducerSnapshot(at: offset, segmentBase: offset)
        self.isExact = isExact
    }

    /// Goes over to a segment that begins at `base`, with the snapshot that lies there. Returns what
    /// the snapshot says otherwise than the batches; where these cannot tell, the walk goes on from
    /// the snapshot.
    mutating func startSegment(at base: Int64, with snapshot: ProducerSnapshot?) -> String? {
        // Offsets between two segments are those of batches that are gone.
        if state.offset != base { isExact = false }
        state.offset = base
        let problem = snapshot.flatMap { self.problem(with: $0) }
        if let snapshot, !isExact { (state, isExact) = (snapshot, true) }
        state.startSegment(at: base)
        return problem
    }

    /// Batches are missing here: damaged, or dropped by compaction.
    mutating func lose() { isExact = false }

    /// Takes in a batch without a producer.
    mutating func pass(to offset: Int64) { state.offset = offset }

    /// Takes in a batch of a producer. Returns the transaction that it ended, and what it says when
    /// it is a marker.
    mutating func absorb(
        _ batch: RecordBatch
    ) -> (completed: ProducerStates.Completed?, control: ControlRecord?) {
        guard let producer = ProducerBatch(batch) else {
            pass(to: batch.lastOffset + 1)
            return (nil, nil)
        }
        var control: ControlRecord?
        if case .marker(let found) = producer.content { control = found }
        // The log takes a batch that is behind its producer's state once that has expired; this
        // state knows nothing of expiry.
        if let known = state.states.producers[producer.producerID],
            producer.epoch < known.epoch
                || control.map({ $0.coordinatorEpoch < known.coordinatorEpoch }) ?? false
        {
            isExact = false
        }
        let completed = state.absorb(batch)
        boundMemory()
        return (completed, control)
    }

    /// No log has more producers at a time, so here some have expired there; and no snapshot holds
    /// more aborted transactions, so there is none to compare these with.
    private mutating func boundMemory() {
        if state.states.count > ProducerStates.maximumProducers {
            state.states = ProducerStates()
            isExact = false
        }
        if state.aborted.count > ProducerSnapshot.maximumAborted { state.aborted = [] }
    }

    /// What a snapshot at this place says otherwise than the batches do; nil where it agrees, or
    /// where that cannot be told.
    func problem(with snapshot: ProducerSnapshot) -> String? {
        guard isExact else { return nil }
        guard snapshot.offset == state.offset else {
            return "expected a batch that begins at offset \(snapshot.offset), found none"
        }
        for (id, found) in snapshot.states.producers.sorted(by: { $0.key < $1.key }) {
            guard let known = state.states.producers[id] else {
                return "producer \(id): expected a batch of it before offset \(state.offset), "
                    + "found none"
            }
            if let problem = known.problem(with: found) { return "producer \(id): \(problem)" }
        }
        for (id, known) in state.states.producers {
            guard let start = known.transactionStart, snapshot.states.producers[id] == nil else {
                continue
            }
            return "expected producer \(id), whose transaction from offset \(start) on is open, "
                + "found none"
        }
        guard snapshot.segmentBase != state.segmentBase || snapshot.aborted == state.aborted else {
            return "expected the \(state.aborted.count) aborted transactions that the segment's "
                + "markers name, found \(snapshot.aborted.count), or others"
        }
        return nil
    }
}

extension ProducerState {
    /// What a snapshot says otherwise than this state, which the batches give. A producer that had
    /// expired and came back is known by fewer batches and without its last marker.
    fileprivate func problem(with found: ProducerState) -> String? {
        guard found.epoch == epoch else { return "expected epoch \(epoch), found \(found.epoch)" }
        guard found.transactionStart == transactionStart else {
            func text(_ start: Int64?) -> String {
                start.map { "an open transaction from offset \($0) on" } ?? "no open transaction"
            }
            return "expected \(text(transactionStart)), found \(text(found.transactionStart))"
        }
        guard found.batches.count <= batches.count,
            found.batches == Array(batches.suffix(found.batches.count))
        else {
            return "expected the batches \(batches.summary), found \(found.batches.summary)"
        }
        guard [coordinatorEpoch, -1].contains(found.coordinatorEpoch) else {
            return "expected coordinator epoch \(coordinatorEpoch), found "
                + "\(found.coordinatorEpoch)"
        }
        guard found.lastActivity == lastActivity else {
            return "expected the time \(lastActivity), found \(found.lastActivity)"
        }
        return nil
    }
}

extension [ProducerState.Batch] {
    /// Sequence numbers and offsets, oldest first: `0-2@10,3-3@15`.
    var summary: String {
        if isEmpty { return "none" }
        return map { "\($0.firstSequence)-\($0.lastSequence)@\($0.firstOffset)" }
            .joined(separator: ",")
    }
}
