public import CordwoodCausality

/// How a ``SharedTopic`` is opened.
public struct SharedTopicConfiguration: Sendable {
    /// What is read of versions that did not know of each other. The state is the same under each.
    public enum Resolution: Sendable {
        /// The newest, by timestamp and then by actor.
        case lastWriter
        /// All values.
        case siblings
        /// What a function makes of them, written once as a version that replaces them.
        ///
        /// It gets at least two versions with different contents, oldest first, of which some may be
        /// deletes; nil deletes the key. It must be a function of what it is given, and should not
        /// mind a value that went into two of them: `docs/causality.md`. At most
        /// ``SharedVersion/maximumValueBytes``, or the write or exchange that called it fails. Called
        /// while the topic is held, so it should be quick.
        case merge(@Sendable ([SharedVersion]) -> [UInt8]?)
    }

    public var resolution: Resolution
    /// How far ahead of this database's clock a version of a peer may be. Should exceed the error of
    /// the machines' clocks by far.
    public var maximumClockDriftMilliseconds: Int64
    /// Called for every event of this database once it is durable: for a ``CausalTrace``.
    public var onEvent: (@Sendable (SharedEvent) -> Void)?

    public init(
        resolution: Resolution = .lastWriter, maximumClockDriftMilliseconds: Int64 = 60_000,
        onEvent: (@Sendable (SharedEvent) -> Void)? = nil
    ) {
        self.resolution = resolution
        self.maximumClockDriftMilliseconds = maximumClockDriftMilliseconds
        self.onEvent = onEvent
    }
}

/// A put, a delete or a merge of a database in a ``SharedTopic``.
public struct SharedEvent: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case put, delete, merge
    }

    public let kind: Kind
    public let key: [UInt8]
    public let dot: Dot
    /// What the database had seen, this event included: the clock that ``CausalTrace`` takes.
    public let seen: VersionVector
}

extension SharedTopicConfiguration.Resolution {
    /// What a caller reads of versions, which come oldest first.
    func values(of versions: [SharedVersion]) -> [[UInt8]] {
        switch self {
        case .lastWriter: versions.last?.value.map { [$0] } ?? []
        case .siblings: versions.compactMap(\.value)
        case .merge(let merge): Self.merged(versions, by: merge).map { [$0] } ?? []
        }
    }

    /// What a merge makes of versions. Those that agree need no function.
    static func merged(
        _ versions: [SharedVersion], by merge: ([SharedVersion]) -> [UInt8]?
    ) -> [UInt8]? {
        guard let first = versions.first else { return nil }
        if versions.allSatisfy({ $0.value == first.value }) { return first.value }
        return merge(versions)
    }

    var name: String {
        switch self {
        case .lastWriter: "lastWriter"
        case .siblings: "siblings"
        case .merge: "merge"
        }
    }
}

/// What a ``SharedTopic`` has for a key.
public struct SharedEntry: Sendable, Hashable {
    /// What the topic's resolution makes of the siblings: none for a key that was never written or
    /// that was deleted, and never more than one but under `siblings`.
    public let values: [[UInt8]]
    /// The versions that no other replaced, deletes among them, oldest first.
    public let siblings: [SharedVersion]
    /// All events that led here: what a write hands back that replaces what was read.
    public let context: VersionVector
}
