import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

extension ProducerBatch {
    static func records(
        _ id: Int64, epoch: Int16 = 0, _ sequence: Int32, count: Int = 1,
        transactional: Bool = false, at time: Int64 = 0
    ) -> ProducerBatch {
        ProducerBatch(
            producerID: id, epoch: epoch,
            content: .records(baseSequence: sequence, isTransactional: transactional), span: count,
            maxTimestamp: time)
    }

    static func marker(
        _ marker: TransactionMarker, _ id: Int64, epoch: Int16 = 0, coordinator: Int32 = 0,
        at time: Int64 = 0
    ) -> ProducerBatch {
        ProducerBatch(
            producerID: id, epoch: epoch,
            content: .marker(ControlRecord(marker, coordinatorEpoch: coordinator)), span: 1,
            maxTimestamp: time)
    }
}

/// The rules once more, from whole histories instead of the last five batches, with sequence
/// numbers that never wrap.
private struct ProducerModel {
    struct Sent {
        var epoch: Int16
        /// Counted on through the wraps.
        var first: Int
        var count: Int
        var offset: Int64
    }

    struct Producer {
        var epoch: Int16
        var sent: [Sent] = []
        var start: Int64?
        var coordinator: Int32 = -1
    }

    enum Outcome: Equatable {
        case append
        case duplicate(Range<Int64>)
        case refused(LogError.Code)
    }

    var producers: [Int64: Producer] = [:]
    var aborted: [AbortedTransaction] = []
    var end: Int64 = 0

    static let span = Int(Int32.max) + 1

    func outcome(_ batch: ProducerBatch) -> Outcome {
        guard let producer = producers[batch.producerID] else { return .append }
        let ofEpoch = producer.sent.filter { $0.epoch == batch.epoch }
        switch batch.content {
        case .records(let base, let isTransactional):
            if batch.epoch == producer.epoch {
                for sent in ofEpoch.suffix(5)
                where sent.first % Self.span == Int(base) && sent.count == batch.span {
                    return .duplicate(sent.offset..<sent.offset + Int64(sent.count))
                }
            }
            if batch.epoch < producer.epoch { return .refused(.producerFenced) }
            let next = ofEpoch.last.map { ($0.first + $0.count) % Self.span } ?? 0
            if Int(base) != next { return .refused(.outOfOrderSequence) }
            if producer.start != nil, !isTransactional {
                return .refused(.invalidTransactionState)
            }
            return .append
        case .marker(let control):
            if batch.epoch < producer.epoch { return .refused(.producerFenced) }
            return control!.coordinatorEpoch < producer.coordinator
                ? .refused(.coordinatorFenced) : .append
        }
    }

    mutating func append(_ batch: ProducerBatch) {
        var producer = producers[batch.producerID] ?? Producer(epoch: batch.epoch)
        producer.epoch = batch.epoch
        switch batch.content {
        case .records(let base, let isTransactional):
            let last = producer.sent.last { $0.epoch == batch.epoch }
            let first = last.map { $0.first + $0.count } ?? Int(base)
            producer.sent.append(
                Sent(epoch: batch.epoch, first: first, count: batch.span, offset: end))
            if isTransactional, producer.start == nil { producer.start = end }
        case .marker(let control):
            producer.coordinator = control!.coordinatorEpoch
            let start = producer.start
            producer.start = nil
            producers[batch.producerID] = producer
            if let start, control!.marker == .abort {
                aborted.append(
                    AbortedTransaction(
                        producerID: batch.producerID, firstOffset: start, lastOffset: end,
                        lastStableOffset: firstUndecided ?? end + 1))
            }
        }
        producers[batch.producerID] = producer
        end += Int64(batch.span)
    }

    var firstUndecided: Int64? { producers.values.compactMap(\.start).min() }
}

@Suite struct ProducerStatesTests {
    private func outcome(_ states: ProducerStates, _ batch: ProducerBatch)
        -> ProducerModel.Outcome
    {
        do throws(LogError) {
            switch try states.check(batch) {
            case .append: return .append
            case .duplicate(let offsets): return .duplicate(offsets)
            }
        } catch { return .refused(error.code) }
    }

    /// Random histories: what would come next, and what was sent before, and neither.
    @Test func agreesWithAModel() {
        var seen: [String: Int] = [:]
        for seed in seeds(300) {
            var random = SplitMix64(seed: seed)
            var states = ProducerStates()
            var model = ProducerModel()
            var aborted: [AbortedTransaction] = []
            var log: [(ProducerBatch, Int64)] = []
            // Some begin close to the wrap.
            let origin = random.coin() ? Int32.max - Int32(random.below(8)) : 0
            for step in 0..<120 {
                let batch = Self.next(model, log.map(\.0), origin: origin, &random)
                let expected = model.outcome(batch)
                let found = outcome(states, batch)
                #expect(found == expected, "seed \(seed), step \(step), \(batch)")
                let name = String("\(found)".prefix(6)) + " " + String("\(batch.content)".prefix(4))
                seen[name, default: 0] += 1
                if case .refused(let code) = found { seen[code.description, default: 0] += 1 }
                guard found == .append else { continue }
                let completed = states.absorb(batch, at: model.end)
                if let completed, completed.marker == .abort {
                    aborted.append(completed.transaction)
                }
                log.append((batch, model.end))
                model.append(batch)
                #expect(states.firstUndecided == model.firstUndecided, "seed \(seed)")
                #expect(aborted == model.aborted, "seed \(seed)")
            }
            // A replay comes to the same state, from the start or from any snapshot.
            var replayed = ProducerStates()
            for (batch, offset) in log { replayed.absorb(batch, at: offset) }
            #expect(replayed == states, "seed \(seed)")
        }
        // The histories reach everything.
        for what in [
            "append reco", "append mark", "duplic reco", "out of order sequence",
            "producer fenced", "coordinator fenced", "invalid transaction state",
        ] {
            #expect(seen[what, default: 0] > 50, "\(what): \(seen)")
        }
    }

    private static func next(
        _ model: ProducerModel, _ log: [ProducerBatch], origin: Int32, _ random: inout SplitMix64
    ) -> ProducerBatch {
        let id = Int64(random.below(4))
        let producer = model.producers[id]
        if random.below(4) == 0, !log.isEmpty {
            // Sent again, mostly one of late.
            var again = log[max(0, log.count - 1 - random.below(random.coin() ? 12 : 60))]
            if case .records = again.content, random.below(8) == 0 { again.span += 1 }
            return again
        }
        var epoch = producer?.epoch ?? 0
        if random.below(12) == 0 { epoch += Int16(random.below(3)) - 1 }
        epoch = max(0, epoch)
        if random.below(5) == 0 {
            let coordinator = max(0, producer?.coordinator ?? 0) + Int32(random.below(6)) - 1
            return .marker(
                random.coin() ? .abort : .commit, id, epoch: epoch,
                coordinator: max(0, random.below(3) == 0 ? coordinator : producer?.coordinator ?? 0)
            )
        }
        let last = producer?.sent.last { $0.epoch == epoch }
        var sequence =
            last.map { Int32(($0.first + $0.count) % ProducerModel.span) }
            ?? (producer == nil ? origin : 0)
        if random.below(10) == 0 {
            sequence = ProducerSequence.advance(sequence, by: 1 + random.below(3))
        }
        let isOpen = producer?.start != nil
        return .records(
            id, epoch: epoch, sequence, count: 1 + random.below(4),
            transactional: random.below(8) == 0 ? !isOpen : isOpen || random.below(3) == 0)
    }

    @Test func numbersWrapAtTheLargest() throws {
        let largest = Int32.max
        #expect(ProducerSequence.advance(largest, by: 1) == 0)
        #expect(ProducerSequence.advance(largest, by: 0) == largest)
        #expect(ProducerSequence.advance(largest - 1, by: 3) == 1)
        #expect(ProducerSequence.advance(5, by: Int(largest) + 1) == 5)
        var states = ProducerStates()
        states.absorb(.records(1, largest - 1, count: 4), at: 0)
        #expect(states.producers[1]?.batches.first?.lastSequence == 1)
        #expect(try states.check(.records(1, largest - 1, count: 4)) == .duplicate(0..<4))
        #expect(try states.check(.records(1, 2)) == .append)
        #expect(throws: LogError.self) { try states.check(.records(1, largest)) }
    }

    @Test func anUnknownProducerMayBeginAnywhere() throws {
        let states = ProducerStates()
        #expect(try states.check(.records(1, epoch: 7, 12345)) == .append)
    }

    /// After a marker of a new epoch its producer must begin at 0.
    @Test func aMarkerOfANewEpochBeginsItsSequence() throws {
        var states = ProducerStates()
        states.absorb(.records(1, 0, count: 5, transactional: true), at: 0)
        states.absorb(.marker(.abort, 1, epoch: 1), at: 5)
        #expect(outcome(states, .records(1, epoch: 0, 5)) == .refused(.producerFenced))
        #expect(outcome(states, .records(1, epoch: 1, 5)) == .refused(.outOfOrderSequence))
        #expect(try states.check(.records(1, epoch: 1, 0)) == .append)
    }

    @Test func onlyIdleProducersWithoutATransactionExpire() {
        var states = ProducerStates()
        states.absorb(.records(1, 0, at: 1000), at: 0)
        states.absorb(.records(2, 0, transactional: true, at: 1000), at: 1)
        states.absorb(.records(3, 0, at: 1001), at: 2)
        states.absorb(.records(4, 0, at: .min), at: 3)
        states.absorb(.records(5, 0, at: .max), at: 4)
        states.expire(now: 1500, after: 500)
        #expect(states.producers.keys.sorted() == [2, 3, 5])
        states.absorb(.marker(.commit, 2, at: 1002), at: 5)
        states.expire(now: 1501, after: 500)
        #expect(states.producers.keys.sorted() == [2, 5])
    }

    /// A producer comes back after its state expired. A replay, which knows nothing of that, must
    /// not take its old batches for a part of the new sequence.
    @Test func aReplayForgetsABrokenSequence() throws {
        var replayed = ProducerStates()
        replayed.absorb(.records(1, 10, count: 5), at: 0)
        replayed.absorb(.records(1, 0, count: 2), at: 5)
        var live = ProducerStates()
        live.absorb(.records(1, 0, count: 2), at: 5)
        #expect(replayed == live)
    }

    /// Looking up by halves finds what a look at each finds, and stops early.
    @Test func abortedTransactionsAreFoundByHalves() {
        for seed in seeds(200) {
            var random = SplitMix64(seed: seed)
            var states = ProducerStates()
            var aborted: [AbortedTransaction] = []
            for offset in Int64(0)..<200 {
                let id = Int64(random.below(6))
                let isOpen = states.producers[id]?.transactionStart != nil
                let batch: ProducerBatch =
                    isOpen && random.below(3) == 0
                    ? .marker(random.below(4) == 0 ? .commit : .abort, id)
                    : .records(id, states.producers[id]?.nextSequence ?? 0, transactional: true)
                if let completed = states.absorb(batch, at: offset), completed.marker == .abort {
                    aborted.append(completed.transaction)
                }
                let open = states.producers.values.compactMap(\.transactionStart)
                #expect(states.firstUndecided == open.min(), "seed \(seed)")
            }
            for _ in 0..<50 {
                let start = Int64(random.below(200))
                let range = start..<start + Int64(random.below(40))
                #expect(
                    aborted.overlapping(range) == aborted.filter { $0.overlaps(range) },
                    "seed \(seed), \(range)")
            }
        }
    }

    /// A producer that was forgotten may come back with lower numbers, as its batch, its marker or
    /// the marker's coordinator; the log holds that, so a replay must follow.
    @Test func aReplayForgetsWhatTheLogHadForgotten() throws {
        for seed in seeds(200) {
            var random = SplitMix64(seed: seed)
            var (live, replayed) = (ProducerStates(), ProducerStates())
            var offset: Int64 = 0
            for step in 0..<60 {
                if random.below(6) == 0 {
                    live.expire(now: Int64(step), after: 0)
                    continue
                }
                let (id, epoch) = (Int64(random.below(2)), Int16(random.below(3)))
                let sequence =
                    live.producers[id].map { $0.epoch == epoch ? $0.nextSequence : 0 } ?? 100
                let batch: ProducerBatch =
                    random.below(3) == 0
                    ? .marker(
                        random.coin() ? .abort : .commit, id, epoch: epoch,
                        coordinator: Int32(random.below(3)), at: Int64(step))
                    : .records(
                        id, epoch: epoch, sequence, transactional: random.coin(), at: Int64(step))
                guard outcome(live, batch) == .append else { continue }
                live.absorb(batch, at: offset)
                replayed.absorb(batch, at: offset)
                offset += 1
                let context: Comment = "seed \(seed), step \(step)"
                #expect(replayed.firstUndecided == live.firstUndecided, context)
                for (id, expected) in live.producers {
                    let found = try #require(replayed.producers[id], context)
                    #expect(found.epoch == expected.epoch, context)
                    // It may recognise more, where the log knows of no batch at all.
                    #expect(
                        expected.batches.isEmpty || found.nextSequence == expected.nextSequence,
                        context)
                    #expect(found.transactionStart == expected.transactionStart, context)
                    #expect(found.coordinatorEpoch >= expected.coordinatorEpoch, context)
                }
            }
        }
    }

    /// Values that only a damaged or foreign log holds.
    @Test func whatNoProducerWritesChangesNothing() {
        var states = ProducerStates()
        states.absorb(.records(1, epoch: 2, 0, transactional: true), at: 0)
        let before = states
        for batch in [
            .records(-1, 0), .records(1, epoch: -1, 0), .records(1, epoch: 2, -1),
            .records(1, epoch: 1, 0), .records(1, epoch: 2, 0, count: 0),
            .marker(.commit, 1, epoch: 1), .marker(.commit, 1, epoch: 2, coordinator: -2),
            ProducerBatch(
                producerID: 1, epoch: 2, content: .marker(nil), span: 1, maxTimestamp: 0),
        ] as [ProducerBatch] {
            #expect(states.absorb(batch, at: 1) == nil)
            #expect(states == before, "\(batch)")
        }
    }

    @Test func controlRecordsSurviveTheirBytes() throws {
        for marker in TransactionMarker.allCases {
            let control = ControlRecord(marker, coordinatorEpoch: 0x0102_0304)
            let record = control.record(timestamp: 5)
            #expect(record.key == [0, 0, 0, UInt8(marker.rawValue)])
            #expect(record.value == [0, 0, 1, 2, 3, 4])
            #expect(ControlRecord(key: record.key, value: record.value) == control)
            #expect(ControlRecord(key: record.key, value: nil) == nil)
            for count in 0..<4 {
                #expect(
                    ControlRecord(key: Array(record.key!.prefix(count)), value: record.value) == nil
                )
            }
            for count in 0..<6 {
                #expect(
                    ControlRecord(key: record.key, value: Array(record.value!.prefix(count))) == nil
                )
            }
        }
        #expect(ControlRecord(key: [0, 0, 0, 2], value: [0, 0, 0, 0, 0, 0]) == nil)
        #expect(ControlRecord(key: [255, 0, 0, 1], value: [0, 0, 0, 0, 0, 0]) == nil)
        #expect(ControlRecord(key: [0, 1, 0, 1], value: [0, 1, 0, 0, 0, 9, 9]) != nil)
    }
}
