import CordwoodCausality
import CordwoodLog

/// The view of a shared topic's log: every key's register, and what the database has seen.
///
/// A pure value. It is what the records up to ``offset`` make, in their order; a record replaces the
/// earlier one of its key.
struct SharedState: Sendable {
    struct Entry: Sendable {
        var register: SharedRegister
        /// Of the key's latest record.
        var offset: Int64
    }

    /// nil before the log has a record of it.
    private(set) var actor: ActorID?
    /// All events that this database has seen, its own among them.
    private(set) var seen = VersionVector()
    private(set) var entries: [[UInt8]: Entry] = [:]
    /// The keys by the offset of their latest record, and some by that of an earlier one.
    private var changes: [(offset: Int64, key: [UInt8])] = []
    /// All events that the records are of. Of other actors these may have gaps, in keys that were not
    /// received yet.
    private var recorded = VersionVector()
    /// Of all versions.
    private(set) var newest = HybridTimestamp(rawValue: 0)
    /// Every record before it is in the view.
    private(set) var offset: Int64

    init(offset: Int64) { self.offset = offset }

    func register(_ key: [UInt8]) -> SharedRegister { entries[key]?.register ?? SharedRegister() }

    // MARK: Folding

    /// Takes a record of the log. Throws ``DatabaseError/Code/malformedState`` for one that is not of
    /// a shared topic, with nothing changed.
    mutating func fold(_ record: StoredRecord, of topic: String) throws(DatabaseError) {
        let place = "\(topic), offset \(record.offset)"
        guard let key = record.key, let value = record.value else {
            throw DatabaseError(.malformedState, "\(place): expected a key and a value, found none")
        }
        do throws(CausalityError) {
            if key.isEmpty {
                install(try SharedIdentity(decoding: value))
            } else {
                try install(SharedRegister(decodingState: value), key, at: record.offset)
            }
        } catch { throw DatabaseError(error, place, otherwise: .malformedState) }
        offset = record.offset + 1
    }

    /// Takes what was appended to the log from ``offset`` on.
    mutating func install(_ draft: SharedDraft, from base: Int64) {
        var next = base
        for key in draft.order {
            guard let register = draft.registers[key] else { continue }
            install(register, key, at: next)
            next += 1
        }
        if let identity = draft.identity {
            install(identity)
            next += 1
        }
        offset = next
    }

    mutating func skip(to offset: Int64) { self.offset = max(self.offset, offset) }

    private mutating func install(_ identity: SharedIdentity) {
        actor = identity.actor
        seen.merge(identity.seen)
        countOwn()
    }

    private mutating func install(_ register: SharedRegister, _ key: [UInt8], at offset: Int64) {
        entries[key] = Entry(register: register, offset: offset)
        changes.append((offset, key))
        for sibling in register.siblings { newest = max(newest, sibling.value.timestamp) }
        recorded.merge(register.context)
        countOwn()
        // Each of the others costs one step once; half of them are live, so it is O(1) a change.
        if changes.count > 2 * entries.count + 16 {
            changes.removeAll { entries[$0.key]?.offset != $0.offset }
        }
    }

    /// Own events are seen once they are in the log, whatever the latest identity says.
    private mutating func countOwn() {
        if let actor { seen.raise(actor, to: recorded[actor]) }
    }

    // MARK: Reading

    /// The states from an offset on that a database which has seen `known` lacks, oldest change
    /// first, up to about `maximumBytes`, but at least one; where to go on, and whether that is the
    /// end. O(changes from the offset on), times the actors.
    private func missing(
        from start: Int64, unknownTo known: VersionVector, maximumBytes: Int
    ) -> (states: [SharedItem], next: Int64, isEnd: Bool) {
        var states: [SharedItem] = []
        var byteCount = 0
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].offset < start { low = middle + 1 } else { high = middle }
        }
        for change in changes[low...] {
            guard let entry = entries[change.key], entry.offset == change.offset,
                !known.contains(entry.register.context)
            else { continue }
            let item = SharedItem(key: change.key, register: entry.register)
            byteCount += item.byteCount
            if byteCount > maximumBytes, !states.isEmpty { return (states, change.offset, false) }
            states.append(item)
        }
        return (states, offset, true)
    }

    /// The answer to a peer's request, of which the sender has checked what it states.
    func reply(to request: ExchangeRequest, from actor: ActorID, opening: UInt64) -> ExchangeReply {
        let start = request.position.opening == opening ? request.position.offset : 0
        let (items, next, isEnd) = missing(
            from: start, unknownTo: request.seen,
            maximumBytes: min(request.maximumBytes, SharedTopic.maximumReplyBytes))
        return ExchangeReply(
            topic: request.topic, actor: actor, requester: request.actor, start: start,
            position: ExchangePosition(opening: opening, offset: next), isEnd: isEnd,
            seen: isEnd ? seen : VersionVector(), items: items)
    }

    /// The same for the same states of all keys, wherever and in whatever order they came.
    /// O(bytes + keys log keys).
    func canonicalBytes() -> [UInt8] {
        var writer = StateWriter()
        for key in entries.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            writer.item(SharedItem(key: key, register: register(key)))
        }
        return writer.bytes
    }
}

/// A key and its register, as they travel.
struct SharedItem: Sendable, Hashable {
    static let maximumKeyBytes = 32_768

    var key: [UInt8]
    var register: SharedRegister

    /// About what it takes when it is encoded. O(actors + siblings).
    var byteCount: Int {
        register.siblings.reduce(8 + key.count + 24 * register.context.actorCount) {
            $0 + 24 + ($1.value.value?.count ?? 0)
        }
    }
}
