import CordwoodCausality
import CordwoodLog
import TestSupport
import Testing

@testable import Cordwood

/// Some databases that share a topic, without disks: their logs are arrays. Beside each one the full
/// history that it knows of, kept as sets of events, which is what it is held against.
struct ExchangeModel {
    /// What an event wrote, and every event of the key that its writer knew of.
    struct Event: Equatable {
        var key: UInt8
        var past: Set<Dot>
        var value: [UInt8]?
        var isMerge: Bool
    }

    struct Replica {
        var actor: ActorID
        var state: SharedState
        /// What is durable.
        var log: [StoredRecord] = []
        var end: Int64 = 0
        var opening: UInt64
        var positions = PeerPositions()
        /// The events of each key that this replica knows of, replaced ones as well.
        var known: [UInt8: Set<Dot>] = [:]
        var clockMilliseconds: Int64
    }

    var random: SeededGenerator
    let resolution: SharedTopicConfiguration.Resolution
    var replicas: [Replica] = []
    var events: [Dot: Event] = [:]
    /// Answers that are on their way, or were, with what their sender knew.
    var letters: [(to: Int, reply: ExchangeReply, known: [UInt8: Set<Dot>])] = []
    /// Contexts that clients read, with the events that they had seen.
    var contexts: [(replica: Int, key: UInt8, context: VersionVector, seen: Set<Dot>)] = []
    var writeCount = 0
    var mergeCount = 0
    private var nextValue: UInt16 = 0
    private var nextOpening: UInt64 = 1

    static let topic = "model"
    static let keys: ClosedRange<UInt8> = 1...3

    init(seed: UInt64, _ resolution: SharedTopicConfiguration.Resolution) throws {
        random = SeededGenerator(seed: seed)
        self.resolution = resolution
        for number in 0..<Int.random(in: 2...4, using: &random) {
            replicas.append(
                Replica(
                    actor: ActorID(random: 0, UInt64(number)), state: SharedState(offset: 0),
                    opening: nextOpening,
                    clockMilliseconds: 1_000_000 + .random(in: 0...2000, using: &random)))
            nextOpening += 1
            try append(draft(number), at: number)
        }
    }

    // MARK: Steps

    mutating func step() throws {
        let replica = Int.random(in: replicas.indices, using: &random)
        replicas[replica].clockMilliseconds += .random(in: -1...3, using: &random)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<7: try write(at: replica)
        case 7..<10: read(at: replica)
        case 10..<15: try ask(from: replica)
        case 15..<18: try deliver()
        case 18: compact(replica)
        default: try reopen(replica)
        }
    }

    private func draft(_ index: Int) -> SharedDraft {
        SharedDraft(
            replicas[index].actor, over: replicas[index].state,
            maximumClockDriftMilliseconds: 60_000)
    }

    private mutating func write(at index: Int) throws {
        var draft = draft(index)
        var pasts: [UInt8: Set<Dot>] = replicas[index].known
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let key = UInt8.random(in: Self.keys, using: &random)
            let value: [UInt8]? = Int.random(in: 0..<4, using: &random) == 0 ? nil : newValue()
            var context: VersionVector?
            var past = pasts[key] ?? []
            let read = contexts.filter { $0.replica == index && $0.key == key }
            switch Int.random(in: 0..<4, using: &random) {
            case 0: (context, past) = (VersionVector(), [])
            case 1:
                guard let one = read.randomElement(using: &random) else { break }
                (context, past) = (one.context, one.seen)
            default: break
            }
            let first = draft.events.count
            _ = try draft.write(
                value, [key], replacing: context, over: replicas[index].state, resolution,
                now: replicas[index].clockMilliseconds)
            writeCount += 1
            note(draft.events[first], value, past, &pasts)
            for merge in draft.events[(first + 1)...] {
                note(merge, nil, pasts[key] ?? [], &pasts, draft)
            }
        }
        try finish(draft, pasts, at: index)
    }

    private mutating func note(
        _ event: SharedEvent, _ value: [UInt8]?, _ past: Set<Dot>,
        _ pasts: inout [UInt8: Set<Dot>], _ draft: SharedDraft? = nil
    ) {
        var value = value
        if event.kind == .merge {
            mergeCount += 1
            value = draft?.registers[event.key]?.siblings.first { $0.dot == event.dot }?.value.value
        }
        events[event.dot] = Event(
            key: event.key[0], past: past, value: value, isMerge: event.kind == .merge)
        pasts[event.key[0], default: []].insert(event.dot)
    }

    private mutating func read(at index: Int) {
        let key = UInt8.random(in: Self.keys, using: &random)
        contexts.append(
            (
                index, key, replicas[index].state.register([key]).context,
                replicas[index].known[key] ?? []
            ))
    }

    /// Asks another replica, whose answer comes at some time, or not, or twice.
    private mutating func ask(from index: Int) throws {
        let others = replicas.indices.filter { $0 != index }
        letters.append(
            try answer(
                others.randomElement(using: &random)!, to: index,
                bytes: Int.random(in: 1...120, using: &random)))
        if Bool.random(using: &random) { try deliver(letters.count - 1) }
    }

    private func answer(
        _ sender: Int, to index: Int, bytes: Int
    ) throws -> (to: Int, reply: ExchangeReply, known: [UInt8: Set<Dot>]) {
        let (peer, asking) = (replicas[sender], replicas[index])
        let request = try ExchangeRequest(
            decoding: ExchangeRequest(
                topic: Self.topic, actor: asking.actor, position: asking.positions[peer.actor],
                maximumBytes: bytes, seen: asking.state.seen
            ).encoded())
        let reply = try ExchangeReply(
            decoding: peer.state.reply(to: request, from: peer.actor, opening: peer.opening)
                .encoded())
        return (index, reply, peer.known)
    }

    private mutating func deliver() throws {
        guard !letters.isEmpty else { return }
        try deliver(Int.random(in: letters.indices, using: &random))
    }

    private mutating func deliver(_ number: Int) throws {
        let letter = letters[number]
        if Bool.random(using: &random) { letters.remove(at: number) }
        try apply(letter.reply, letter.known, at: letter.to, mayFail: true)
    }

    private mutating func apply(
        _ reply: ExchangeReply, _ known: [UInt8: Set<Dot>], at index: Int, mayFail: Bool
    ) throws {
        var draft = draft(index)
        let isGapless = replicas[index].positions.isGapless(reply)
        try draft.apply(
            reply, isGapless: isGapless, over: replicas[index].state, resolution,
            now: replicas[index].clockMilliseconds)
        var pasts = replicas[index].known
        for item in reply.items {
            pasts[item.key[0], default: []].formUnion(known[item.key[0]] ?? [])
        }
        for merge in draft.events {
            note(merge, nil, pasts[merge.key[0]] ?? [], &pasts, draft)
        }
        guard try finish(draft, pasts, at: index, mayFail: mayFail) else { return }
        if isGapless { replicas[index].positions.advance(past: reply) }
    }

    // MARK: The log

    /// Appends a draft, or loses power on the way: then only some first records of it are there, and
    /// nobody has seen them.
    @discardableResult
    private mutating func finish(
        _ draft: SharedDraft, _ pasts: [UInt8: Set<Dot>], at index: Int, mayFail: Bool = true
    ) throws -> Bool {
        guard mayFail, Int.random(in: 0..<10, using: &random) == 0 else {
            try append(draft, at: index)
            replicas[index].known = pasts
            return true
        }
        let kept = Int.random(in: 0...draft.records.count, using: &random)
        write(Array(draft.records.prefix(kept)), at: index)
        for key in draft.order.prefix(kept) { replicas[index].known[key[0]] = pasts[key[0]] }
        // Events that are lost never were: their numbers will be given again.
        for event in draft.events where !draft.order.prefix(kept).contains(event.key) {
            if let lost = events.removeValue(forKey: event.dot), lost.isMerge { mergeCount -= 1 }
        }
        try reopen(index)
        return false
    }

    private mutating func append(_ draft: SharedDraft, at index: Int) throws {
        let base = replicas[index].end
        write(draft.records, at: index)
        replicas[index].state.install(draft, from: base)
    }

    private mutating func write(_ records: [Record], at index: Int) {
        for record in records {
            replicas[index].log.append(
                StoredRecord(
                    offset: replicas[index].end, timestamp: 0, key: record.key, value: record.value,
                    headers: []))
            replicas[index].end += 1
        }
    }

    private mutating func compact(_ index: Int) {
        var latest: [[UInt8]: Int64] = [:]
        for record in replicas[index].log { latest[record.key ?? []] = record.offset }
        replicas[index].log.removeAll { latest[$0.key ?? []] != $0.offset }
    }

    /// The process ends and begins anew: all that is left is the log.
    private mutating func reopen(_ index: Int) throws {
        var state = SharedState(offset: 0)
        for record in replicas[index].log { try state.fold(record, of: Self.topic) }
        state.skip(to: replicas[index].end)
        replicas[index].state = state
        replicas[index].opening = nextOpening
        replicas[index].positions = PeerPositions()
        nextOpening += 1
        contexts.removeAll { $0.replica == index }
    }

    private mutating func newValue() -> [UInt8] {
        nextValue += 1
        return withUnsafeBytes(of: nextValue.bigEndian) { Array($0) }
    }

    // MARK: The end

    /// Exchanges until nothing changes any more, in pairs in some order.
    mutating func settle() throws {
        letters = []
        // A round brings each event to one more replica at least, and merges only what is new there.
        for _ in 0..<20 {
            let before = replicas.map { $0.state.canonicalBytes() }
            for a in replicas.indices.shuffled(using: &random) {
                for b in replicas.indices.shuffled(using: &random) where a != b {
                    try pull(a, from: b)
                }
            }
            if before == replicas.map({ $0.state.canonicalBytes() }) { return }
        }
        Issue.record("not settled after 20 rounds, seed \(random.seed)")
    }

    private mutating func pull(_ index: Int, from sender: Int) throws {
        while true {
            let letter = try answer(
                sender, to: index, bytes: Int.random(in: 1...1000, using: &random))
            try apply(letter.reply, letter.known, at: index, mayFail: false)
            if letter.reply.isEnd { return }
        }
    }
}
