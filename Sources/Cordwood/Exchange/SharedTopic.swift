public import CordwoodCausality
import CordwoodLog
import CordwoodStorage

/// A table of keys and values that several databases write, each its own copy, and that is the same
/// in all of them once they have exchanged what they have (`docs/causality.md`).
///
/// A view of a compacted log with one record a key. It holds all keys and values in memory: their
/// bytes and about 250 a key. All members may be used from any task at any time; writes that come at
/// the same time share a sync. What is read is durable.
///
/// After an error of the log what was to be written may or may not be there once the database was
/// opened anew; reads go on with what was acknowledged.
public actor SharedTopic {
    /// About what an answer to an exchange has at most, whatever was asked for.
    static let maximumReplyBytes = 4 << 20
    /// How many writes are decided at once and share a sync.
    private static let maximumWrites = 1024

    public nonisolated let name: String
    public nonisolated let configuration: SharedTopicConfiguration
    private let topic: Topic
    let clock: any WallClock
    private let drawIdentity: @Sendable () -> UInt64
    /// Tells this opening's positions from those of another.
    let opening: UInt64
    /// The name under which this database counts its events here.
    public private(set) var actor: ActorID
    private(set) var state: SharedState
    private var waiting: [Write] = []
    let turns = AsyncLock()
    /// Up to where each peer's log was applied without a gap; lost with the process, which costs asking
    /// for it again.
    var positions = PeerPositions()

    /// A write that waits for its turn.
    private final class Write {
        let key: [UInt8]
        let value: [UInt8]?
        let context: VersionVector?
        var result: Result<Dot, DatabaseError>?

        init(_ value: [UInt8]?, _ key: [UInt8], _ context: VersionVector?) {
            self.key = key
            self.value = value
            self.context = context
        }
    }

    /// Folds the log: O(its bytes). Draws the topic's actor where there is none.
    static func open(
        _ topic: Topic, name: String, _ configuration: SharedTopicConfiguration,
        clock: any WallClock, drawIdentity: @escaping @Sendable () -> UInt64
    ) async throws(DatabaseError) -> SharedTopic {
        let shared = SharedTopic(
            topic, name: name, configuration, clock: clock, drawIdentity: drawIdentity)
        try await shared.begin()
        return shared
    }

    private init(
        _ topic: Topic, name: String, _ configuration: SharedTopicConfiguration,
        clock: any WallClock, drawIdentity: @escaping @Sendable () -> UInt64
    ) {
        self.topic = topic
        self.name = name
        self.configuration = configuration
        self.clock = clock
        self.drawIdentity = drawIdentity
        opening = drawIdentity()
        actor = ActorID(random: drawIdentity(), drawIdentity())
        state = SharedState(offset: topic[0].log.startOffset)
    }

    private func begin() async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            try await self.catchUp()
            if let actor = self.state.actor {
                self.actor = actor
            } else {
                try await self.append(self.draft())
            }
        }
    }

    // MARK: Reading

    /// All events that this database has seen.
    public var seen: VersionVector { state.seen }
    /// Every record of the log before it is in what is read.
    public var offset: Int64 { state.offset }
    /// Keys that were ever written, deleted ones among them.
    public var keyCount: Int { state.entries.count }

    /// What the topic has for a key. O(siblings log siblings), and what a merge takes.
    public func get(_ key: [UInt8]) -> SharedEntry {
        let register = state.register(key)
        let versions = register.versions
        return SharedEntry(
            values: configuration.resolution.values(of: versions), siblings: versions,
            context: register.context)
    }

    /// The keys that have a value, sorted. O(keys log keys).
    public var keys: [[UInt8]] {
        state.entries.keys.filter { !get($0).values.isEmpty }
            .sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// The state of all keys in one form (`docs/file-formats.md`): databases that have exchanged all
    /// that they have give the same bytes. O(bytes).
    public func canonicalBytes() -> [UInt8] { state.canonicalBytes() }

    // MARK: Writing

    /// Writes a value; durable when this returns. Returns the event's name.
    ///
    /// - Parameter context: the ``SharedEntry/context`` that came with what the writer read. It
    ///   replaces that and leaves the rest beside it; nil replaces all that is here; an empty one
    ///   replaces nothing.
    /// - Throws: ``DatabaseError/Code/invalidKey``, ``DatabaseError/Code/valueTooLarge``,
    ///   ``DatabaseError/Code/unknownContext``, ``DatabaseError/Code/tooManySiblings``,
    ///   ``DatabaseError/Code/clockWentBack``, and what the log says.
    @discardableResult
    public func put(
        _ value: [UInt8], forKey key: [UInt8], replacing context: VersionVector? = nil
    ) async throws(DatabaseError) -> Dot {
        try await write(Write(value, key, context))
    }

    /// Deletes a key, as ``put(_:forKey:replacing:)`` writes it.
    @discardableResult
    public func delete(
        _ key: [UInt8], replacing context: VersionVector? = nil
    ) async throws(DatabaseError) -> Dot {
        try await write(Write(nil, key, context))
    }

    private func write(_ write: Write) async throws(DatabaseError) -> Dot {
        waiting.append(write)
        while true {
            // Whoever has the turn writes for all that wait.
            await turns.withLock { if write.result == nil { await self.commit(for: write) } }
            if let result = write.result { return try result.get() }
        }
    }

    /// Decides the writes that wait and appends what comes of them. The caller has the turn.
    private func commit(for leader: Write) async {
        let writes = Array(waiting.prefix(Self.maximumWrites))
        waiting.removeFirst(writes.count)
        do throws(DatabaseError) {
            try await catchUp()
            var draft = draft()
            var decided: [(write: Write, dot: Dot)] = []
            for write in writes {
                do throws(DatabaseError) {
                    let dot = try draft.write(
                        write.value, write.key, replacing: write.context, over: state,
                        configuration.resolution, now: clock.millisecondsNow())
                    decided.append((write, dot))
                } catch { write.result = .failure(error) }
            }
            try await append(draft)
            for (write, dot) in decided { write.result = .success(dot) }
        } catch {
            let undecided = writes.filter { $0.result == nil }
            guard error.code == .cancelled else {
                for write in undecided { write.result = .failure(error) }
                return
            }
            // Nothing was written, and only the task that has the turn was cancelled.
            leader.result = .failure(error)
            waiting = undecided.filter { $0 !== leader } + waiting
        }
    }

    /// Keeps only the latest record of each key, the newest segment's too. Nothing that a peer has not
    /// seen is lost: a record holds all that is known of its key.
    public func compact() async throws(DatabaseError) {
        do { try await topic[0].compact() } catch { throw DatabaseError(error, "topic \(name)") }
    }

    /// Counts this database's events under a new name from now on; durable when this returns.
    ///
    /// For a database that was restored from an older copy, or whose folder was copied, before its
    /// first write: the old name has had events that this database has not seen, and must not name
    /// others. Exchanges are refused until then where that can be noticed.
    public func renewActor() async throws(DatabaseError) {
        try await turns.withLock { () async throws(DatabaseError) in
            try await self.catchUp()
            let old = self.actor
            self.actor = ActorID(random: self.drawIdentity(), self.drawIdentity())
            do throws(DatabaseError) { try await self.append(self.draft()) } catch {
                self.actor = old
                throw error
            }
        }
    }

    // MARK: Steps, for whoever has the turn

    func draft() -> SharedDraft {
        SharedDraft(
            actor, over: state,
            maximumClockDriftMilliseconds: configuration.maximumClockDriftMilliseconds)
    }

    /// Appends what was decided; the state has it once it is durable.
    func append(_ draft: SharedDraft) async throws(DatabaseError) {
        guard !draft.isEmpty else { return }
        do {
            let offsets = try await topic[0].log.append(draft.records, acknowledge: .durable)
            state.install(draft, from: offsets.lowerBound)
        } catch { throw DatabaseError(error, "topic \(name)") }
        if let onEvent = configuration.onEvent { for event in draft.events { onEvent(event) } }
    }

    /// Takes what is in the log and not in the state: all of it at the opening, and what an append
    /// that failed has left.
    func catchUp() async throws(DatabaseError) {
        let log = topic[0].log
        let end = log.endOffset
        guard state.offset < end else { return }
        do { try await log.flush() } catch { throw DatabaseError(error, "topic \(name)") }
        var records = topic[0].records(from: state.offset, following: false).makeAsyncIterator()
        while true {
            let next: StoredRecord?
            do { next = try await records.next() } catch {
                throw DatabaseError(error, "topic \(name)")
            }
            guard let record = next else { break }
            try state.fold(record, of: name)
        }
        if Task.isCancelled { throw DatabaseError(.cancelled, "reading topic \(name)") }
        // Behind the last record that compaction has left.
        state.skip(to: end)
    }
}
