/// Which events a version has seen: for each actor, how many of its events, from the first on.
///
/// A vector is a value. Actors that are not in it have 0 events. Comparing two says which version came
/// first, or that neither did (Parker et al., "Detection of mutual inconsistency in distributed
/// systems", 1983; Fidge and Mattern, 1988).
///
/// The entries lie in one array of bytes, sorted by actor, so that to compare two vectors is one pass
/// over both and allocates nothing, and a copy costs a reference.
public struct VersionVector: Hashable, Sendable {
    /// Entry after entry: the length of the id (1), the id, the counter (8, little-endian), sorted by
    /// id. Counters are never 0, so equal vectors have equal bytes.
    var storage: [UInt8] = []

    /// The vector that has seen nothing.
    public init() {}

    public var isEmpty: Bool { storage.isEmpty }

    /// How many actors have events in this vector. O(actors).
    public var actorCount: Int {
        var count = 0
        withEntries { _ in count += 1 }
        return count
    }

    /// How many events of `actor` this vector has seen. O(actors).
    public subscript(actor: ActorID) -> UInt64 {
        storage.withUnsafeBytes { bytes in
            let found = Self.position(of: actor, in: bytes)
            return found.isThere ? EntryCursor(bytes, at: found.position).counter : 0
        }
    }

    /// Every actor with its count of events, in the order of actors. O(actors), and allocates.
    public var entries: [Dot] {
        var entries: [Dot] = []
        withEntries { entries.append(Dot(actor: $0.actor, counter: $0.counter)) }
        return entries
    }

    /// Whether this vector has seen an event. O(actors).
    public func contains(_ dot: Dot) -> Bool { self[dot.actor] >= dot.counter }

    /// Counts one more event of `actor` and returns its dot. O(actors).
    ///
    /// - Throws: ``CausalityError/Code/counterOverflow`` after 2^64 - 1 events.
    @discardableResult
    public mutating func increment(_ actor: ActorID) throws(CausalityError) -> Dot {
        let (next, overflow) = self[actor].addingReportingOverflow(1)
        guard !overflow else {
            throw CausalityError(
                .counterOverflow, "actor \(actor) has had \(UInt64.max) events and can have no more"
            )
        }
        raise(actor, to: next)
        return Dot(actor: actor, counter: next)
    }

    /// Forgets the entries of actors that are gone for good, and of no others.
    ///
    /// Do this only once every replica has seen all events of the retired actors, and do it at all of
    /// them: a vector that still has the entry counts as newer than one that has not. Nothing is ever
    /// pruned by size or age, since a vector that forgets a living actor calls what it has seen unseen.
    /// O(actors).
    public mutating func prune(retired: Set<ActorID>) {
        var kept = VersionVector()
        withEntries { if !retired.contains($0.actor) { kept.append($0) } }
        self = kept
    }

    /// Makes the count of `actor` at least `counter`. O(actors).
    public mutating func raise(_ actor: ActorID, to counter: UInt64) {
        guard counter > 0 else { return }
        let found = storage.withUnsafeBytes { Self.position(of: actor, in: $0) }
        if found.isThere {
            storage.withUnsafeMutableBytes { bytes in
                EntryCursor(UnsafeRawBufferPointer(bytes), at: found.position)
                    .raise(to: counter, in: bytes)
            }
        } else {
            storage.insert(
                contentsOf: Self.entryBytes(of: actor.bytes, counter), at: found.position)
        }
    }

    /// Appends an actor that comes behind all others.
    mutating func append(_ actor: ActorID, _ counter: UInt64) {
        storage.append(contentsOf: Self.entryBytes(of: actor.bytes, counter))
    }

    private mutating func append(_ entry: EntryCursor) { storage.append(contentsOf: entry.bytes) }

    private static func entryBytes(of actor: [UInt8], _ counter: UInt64) -> [UInt8] {
        var bytes = [UInt8(actor.count)] + actor
        withUnsafeBytes(of: counter.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    private func withEntries(_ body: (EntryCursor) -> Void) {
        storage.withUnsafeBytes { bytes in
            var cursor = EntryCursor(bytes)
            while !cursor.isAtEnd {
                body(cursor)
                cursor.advance()
            }
        }
    }

    /// Where the entry of `actor` is, or belongs.
    private static func position(
        of actor: ActorID, in bytes: UnsafeRawBufferPointer
    ) -> (position: Int, isThere: Bool) {
        actor.bytes.withUnsafeBytes { id in
            var cursor = EntryCursor(bytes)
            while !cursor.isAtEnd {
                let order = cursor.order(to: id)
                if order >= 0 { return (cursor.position, order == 0) }
                cursor.advance()
            }
            return (cursor.position, false)
        }
    }
}

extension VersionVector: CustomStringConvertible {
    /// For people: `{paris:3, tokyo:1}`.
    public var description: String {
        "{" + entries.map(\.description).joined(separator: ", ") + "}"
    }
}
