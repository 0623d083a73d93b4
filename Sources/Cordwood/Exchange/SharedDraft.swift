import CordwoodCausality
import CordwoodLog

/// What is about to be appended to a shared topic: decisions, made over a state that does not change
/// meanwhile and takes them once they are durable.
///
/// A pure value.
struct SharedDraft: Sendable {
    /// Siblings of a key above which a write must replace some.
    static let maximumSiblings = 64

    let actor: ActorID
    private(set) var seen: VersionVector
    private(set) var clock: HybridLogicalClock
    /// The keys that change, in the order of their first change, and what becomes of them.
    private(set) var order: [[UInt8]] = []
    private(set) var registers: [[UInt8]: SharedRegister] = [:]
    /// Written behind the keys, so that it is never durable without them.
    private(set) var identity: SharedIdentity?
    private(set) var events: [SharedEvent] = []

    init(_ actor: ActorID, over state: SharedState, maximumClockDriftMilliseconds: Int64) {
        self.actor = actor
        seen = state.seen
        clock = HybridLogicalClock(
            maximumDriftMilliseconds: maximumClockDriftMilliseconds, latest: state.newest)
        if state.actor != actor { identity = SharedIdentity(actor: actor, seen: seen) }
    }

    var isEmpty: Bool { order.isEmpty && identity == nil }

    var records: [Record] {
        var records = order.map { Record(key: $0, value: registers[$0]?.encodedState()) }
        if let identity { records.append(Record(key: [], value: identity.encoded())) }
        return records
    }

    /// Writes a value, or that there is none, in the place of what `context` covers; nil covers all
    /// that is known here. Returns the event's name. One that throws has changed nothing but the clock.
    mutating func write(
        _ value: [UInt8]?, _ key: [UInt8], replacing context: VersionVector?,
        over state: SharedState,
        _ resolution: SharedTopicConfiguration.Resolution, now: Int64
    ) throws(DatabaseError) -> Dot {
        guard (1...SharedItem.maximumKeyBytes).contains(key.count) else {
            throw DatabaseError(
                .invalidKey,
                "expected a key of 1 to \(SharedItem.maximumKeyBytes) bytes, found \(key.count)")
        }
        var register = current(key, over: state)
        if let context, !register.context.contains(context) {
            throw DatabaseError(
                .unknownContext,
                "expected a context of events that this database has seen of the key, at most "
                    + "\(register.context), found \(context)")
        }
        let (oldSeen, oldEvents) = (seen, events.count)
        do throws(DatabaseError) {
            let dot = try add(
                value, value == nil ? .delete : .put, to: &register, key,
                replacing: context ?? register.context, now: now)
            try settle(&register, key, resolution, now: now)
            guard register.siblings.count <= Self.maximumSiblings else {
                throw DatabaseError(
                    .tooManySiblings,
                    "expected a write that leaves at most \(Self.maximumSiblings) siblings, found "
                        + "\(register.siblings.count)")
            }
            try set(key, register)
            return dot
        } catch {
            seen = oldSeen
            events.removeLast(events.count - oldEvents)
            throw error
        }
    }

    /// Merges what a peer sent, and writes the merges that come of it. What the peer has seen counts as
    /// seen where `isGapless`. Where this throws, the draft is of no use any more.
    mutating func apply(
        _ reply: ExchangeReply, isGapless: Bool, over state: SharedState,
        _ resolution: SharedTopicConfiguration.Resolution, now: Int64
    ) throws(DatabaseError) {
        guard reply.actor != actor else {
            throw DatabaseError(.sameActor, "the peer is actor \(actor), as this database is")
        }
        try check(reply.seen)
        let newest = reply.items.flatMap(\.register.siblings).map(\.value.timestamp).max()
        if let newest {
            do { _ = try clock.receive(newest, at: now) } catch {
                throw DatabaseError(error, "peer \(reply.actor)", otherwise: .malformedMessage)
            }
        }
        // Before any merge is written, which makes events that no peer can have seen.
        for item in reply.items { try check(item.register.context) }
        for item in reply.items {
            let old = current(item.key, over: state)
            try Self.check(old, item.register)
            var register = old
            register.merge(item.register)
            try settle(&register, item.key, resolution, now: now)
            if register != old { try set(item.key, register) }
        }
        let known = seen
        if isGapless { seen.merge(reply.seen) }
        try Self.checkActors(seen)
        if seen != known { identity = SharedIdentity(actor: actor, seen: seen) }
    }

    // MARK: Steps

    func current(_ key: [UInt8], over state: SharedState) -> SharedRegister {
        registers[key] ?? state.register(key)
    }

    /// Nothing is written that could not be read again.
    private mutating func set(
        _ key: [UInt8], _ register: SharedRegister
    ) throws(DatabaseError) {
        let siblings = register.siblings.count
        guard siblings <= SharedRegister.limits.values else {
            throw DatabaseError(
                .tooManySiblings,
                "expected at most \(SharedRegister.limits.values) siblings, found \(siblings)")
        }
        try Self.checkActors(register.context)
        if registers.updateValue(register, forKey: key) == nil { order.append(key) }
    }

    private static func checkActors(_ vector: VersionVector) throws(DatabaseError) {
        guard vector.actorCount <= SharedRegister.limits.actors else {
            throw DatabaseError(
                .tooManyActors,
                "expected at most \(SharedRegister.limits.actors) actors, found "
                    + "\(vector.actorCount)")
        }
    }

    private mutating func add(
        _ value: [UInt8]?, _ kind: SharedEvent.Kind, to register: inout SharedRegister,
        _ key: [UInt8], replacing context: VersionVector, now: Int64
    ) throws(DatabaseError) -> Dot {
        guard (value?.count ?? 0) <= SharedVersion.maximumValueBytes else {
            throw DatabaseError(
                .valueTooLarge,
                "expected at most \(SharedVersion.maximumValueBytes) bytes, found "
                    + "\(value?.count ?? 0)")
        }
        do throws(CausalityError) {
            let timestamp = try clock.tick(at: now)
            let dot = try seen.increment(actor)
            try register.write(
                SharedContent(timestamp: timestamp, value: value, isMerge: kind == .merge),
                at: dot, replacing: context)
            events.append(SharedEvent(kind: kind, key: key, dot: dot, seen: seen))
            return dot
        } catch { throw DatabaseError(error, "actor \(actor)", otherwise: .actorReused) }
    }

    /// Writes the merge of siblings of which a caller wrote one. Siblings that are all merges get none,
    /// or two databases could answer each other's merges for ever.
    private mutating func settle(
        _ register: inout SharedRegister, _ key: [UInt8],
        _ resolution: SharedTopicConfiguration.Resolution, now: Int64
    ) throws(DatabaseError) {
        guard case .merge(let merge) = resolution, register.siblings.count > 1,
            register.siblings.contains(where: { !$0.value.isMerge })
        else { return }
        let value = SharedTopicConfiguration.Resolution.merged(register.versions, by: merge)
        _ = try add(
            value, .merge, to: &register, key, replacing: register.context, now: now)
    }

    /// Nobody has seen more of this database's events than it has made.
    func check(_ vector: VersionVector) throws(DatabaseError) {
        guard vector[actor] <= seen[actor] else {
            throw DatabaseError(
                .actorReused,
                "expected at most event \(seen[actor]) of this database's actor \(actor), found "
                    + "\(vector[actor]): was it restored from an older copy?")
        }
    }

    /// One name, one event.
    private static func check(_ a: SharedRegister, _ b: SharedRegister) throws(DatabaseError) {
        for sibling in b.siblings {
            guard let same = a.siblings.first(where: { $0.dot == sibling.dot }) else { continue }
            guard same == sibling else {
                throw DatabaseError(
                    .actorReused,
                    "event \(sibling.dot): expected the version that is here, found another: a copy "
                        + "of that database takes writes, or it was restored from an older copy")
            }
        }
    }
}
