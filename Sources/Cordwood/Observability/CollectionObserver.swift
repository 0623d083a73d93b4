import Synchronization

/// Is told what a collection does, whichever tasks do it: several at once.
public struct CollectionObserver: Sendable {
    /// A call has searched for so many queries, in so long; failures are not told.
    public var searched: @Sendable (_ queries: Int, Duration) -> Void
    /// A segment of so many points was built, written and is searched, so long after it was begun.
    public var sealed: @Sendable (_ points: Int, Duration) -> Void
    /// So many segments whose files were damaged have been built anew.
    public var rebuilt: @Sendable (_ segments: Int) -> Void
    /// A sealing in the background failed and will be tried again.
    public var sealingFailed: @Sendable (DatabaseError) -> Void

    public init(
        searched: @escaping @Sendable (_ queries: Int, Duration) -> Void = { _, _ in },
        sealed: @escaping @Sendable (_ points: Int, Duration) -> Void = { _, _ in },
        rebuilt: @escaping @Sendable (_ segments: Int) -> Void = { _ in },
        sealingFailed: @escaping @Sendable (DatabaseError) -> Void = { _ in }
    ) {
        self.searched = searched
        self.sealed = sealed
        self.rebuilt = rebuilt
        self.sealingFailed = sealingFailed
    }
}

/// The size and state of a collection at one time.
public struct CollectionGauges: Sendable, Hashable {
    public var points: Int
    /// Of them, those in no segment.
    public var headPoints: Int
    public var segments: Int
    /// Those that are still to be built anew.
    public var damagedSegments: Int
    /// What indexes and head take in memory.
    public var bytesInMemory: Int
    /// Upserts that wait for room in the head.
    public var waitingUpserts: Int
}

/// Who is told of a collection, if anybody.
final class CollectionObservation: Sendable {
    private let observer = Mutex<CollectionObserver?>(nil)

    var current: CollectionObserver? { observer.withLock { $0 } }

    func set(_ observer: CollectionObserver) { self.observer.withLock { $0 = observer } }
}
