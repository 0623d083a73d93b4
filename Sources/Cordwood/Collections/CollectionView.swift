import CordwoodLog
import CordwoodStorage
import CordwoodVectors
import Synchronization

/// The searchable view of a collection's log: its points, and the offset up to which that is true.
///
/// Changes are applied in the order of the log, whatever the order in which appends return: one that
/// comes early waits for those before it.
final class CollectionView<S: Storage>: Sendable {
    private struct Order {
        /// The first offset that has not been applied.
        var next: Int64
        var waiting: [Int64: Change] = [:]
        var isApplying = false
        /// Changes from this offset on are never applied.
        var limit = Int64.max
    }

    /// The mutations of one append.
    private struct Change: Sendable {
        var offsets: Range<Int64>
        var mutations: [PointMutation]
        var done: CheckedContinuation<Void, Never>
    }

    private let points: ReadWriteLock<CollectionPoints>
    private let order: Mutex<Order>
    private let count: Atomic<Int>
    private let unsealed: Atomic<Int>
    private let isDue: Atomic<Bool>
    /// Why the view stopped following its log, when it had to.
    private let failure = Mutex<VectorError?>(nil)
    private let name: String
    private let storage: S
    private let sealAfter: Int
    /// Nil where nothing is sealed.
    private let sealer: Sealer<S>?

    /// A view that begins with these points.
    init(
        _ points: ReadWriteLock<CollectionPoints>, of name: String, sealer: Sealer<S>?,
        sealAfter: Int, storage: S
    ) {
        self.name = name
        count = Atomic(points.read { $0.count })
        unsealed = Atomic(points.read { $0.head.count })
        order = Mutex(Order(next: points.read { $0.appliedOffset }))
        isDue = Atomic(points.read { Self.isDue($0, sealer, sealAfter) })
        self.points = points
        self.storage = storage
        self.sealer = sealer
        self.sealAfter = sealAfter
    }

    /// Every record before this offset is in the view.
    var appliedOffset: Int64 { order.withLock { $0.next } }
    /// How many ids it holds, after the last change that was applied.
    var pointCount: Int { count.load(ordering: .acquiring) }
    /// How many of them are in no segment.
    var headCount: Int { unsealed.load(ordering: .acquiring) }
    /// Whether the head is full, or a segment has too many dead points.
    var isSealDue: Bool { isDue.load(ordering: .acquiring) }

    /// Applies what an append did; returns when the view holds it and everything before it, or will
    /// never hold it.
    func apply(_ mutations: [PointMutation], at offsets: Range<Int64>) async {
        await withCheckedContinuation { done in
            let change = Change(offsets: offsets, mutations: mutations, done: done)
            let (starts, isLost) = order.withLock { order in
                if offsets.lowerBound >= order.limit { return (false, true) }
                order.waiting[offsets.lowerBound] = change
                if order.isApplying || order.waiting[order.next] == nil { return (false, false) }
                order.isApplying = true
                return (true, false)
            }
            if isLost { done.resume() }
            if starts {
                Task(executorPreference: storage.ownTasksExecutor) { await self.applyWaiting() }
            }
        }
    }

    /// Gives up changes at `offset` and behind it, those that wait and those to come: the log does
    /// not have them, or another view has taken this one's place.
    func abandon(from offset: Int64) {
        let lost = order.withLock { order in
            order.limit = min(order.limit, offset)
            let lost = order.waiting.filter { $0.key >= offset }
            for key in lost.keys { order.waiting[key] = nil }
            return lost.values.map(\.done)
        }
        for waiter in lost { waiter.resume() }
    }

    /// Applies all changes that are next in order, one after the other.
    private func applyWaiting() async {
        while true {
            let change = order.withLock { order -> Change? in
                guard let change = order.waiting.removeValue(forKey: order.next) else {
                    order.isApplying = false
                    return nil
                }
                return change
            }
            guard let change else { return }
            do throws(VectorError) {
                try await write { points throws(VectorError) in
                    for mutation in change.mutations { try points.apply(mutation) }
                    points.appliedOffset = change.offsets.upperBound
                }
            } catch { failure.withLock { $0 = error } }
            order.withLock { $0.next = change.offsets.upperBound }
            change.done.resume()
        }
    }

    /// Throws when the view could not take a change that the log holds: it would lie from then on.
    /// Reopening builds it anew.
    func checkFollows() throws(VectorError) {
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    // MARK: The points, on the storage's threads

    func read<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable (borrowing CollectionPoints) throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        try await storage.offload { [points] () throws(Failure) in try points.read(body) }
    }

    func write<Failure: Error>(
        _ body: @escaping @Sendable (inout CollectionPoints) throws(Failure) -> Void
    ) async throws(Failure) {
        try await storage.offload { [self] () throws(Failure) in
            try points.write { points throws(Failure) in
                // What was changed before an error counts, too.
                defer { publish(points) }
                try body(&points)
            }
        }
    }

    private func publish(_ points: borrowing CollectionPoints) {
        count.store(points.count, ordering: .releasing)
        unsealed.store(points.head.count, ordering: .releasing)
        isDue.store(Self.isDue(points, sealer, sealAfter), ordering: .releasing)
    }

    /// What is wrong with files is put right by writing others.
    private static func isDue(
        _ points: borrowing CollectionPoints, _ sealer: Sealer<S>?, _ sealAfter: Int
    ) -> Bool {
        guard let sealer else { return false }
        return points.isSealDue(after: sealAfter)
            || points.count > 0 && !sealer.store.damage.isEmpty
    }
}

extension CollectionView: CollectionViewing {
    func offset(of id: UInt64) async -> Int64? { await read { $0.offset(of: id) } }
    func bytesAllocated() async -> Int { await read { $0.bytesAllocated } }
    func segments() async -> [SegmentSummary] {
        await read { $0.segments.map(SegmentSummary.init) }
    }

    var damage: [SegmentDamage] { sealer?.store.damage ?? [] }

    func search(
        _ search: PointSearch, truncations: Int
    ) async throws(DatabaseError) -> [[Neighbor]] {
        try await searched(truncations) { points throws(PointSearchError) in
            try search.run(on: points)
        }
    }

    func search(
        _ search: PointSearch, within distance: Float, truncations: Int
    ) async throws(DatabaseError) -> [Neighbor] {
        try await searched(truncations) { points throws(PointSearchError) in
            try search.run(on: points, within: distance)
        }
    }

    /// Searches again without a segment that cannot be read: one less each time.
    private func searched<Value: Sendable>(
        _ truncations: Int,
        _ body:
            @escaping @Sendable (ReadWriteLock<CollectionPoints>) throws(PointSearchError) -> Value
    ) async throws(DatabaseError) -> Value {
        while true {
            do { try checkFollows() } catch { throw DatabaseError(error, "search in \(name)") }
            let failure: PointSearchError
            do throws(PointSearchError) {
                return try await storage.offload { [points] () throws(PointSearchError) in
                    try body(points)
                }
            } catch { failure = error }
            guard let sealer, let segment = failure.unreadable else {
                throw DatabaseError(failure.cause, "search in \(name)")
            }
            try await sealer.mend(segment, failure.cause, in: self, truncations: truncations)
        }
    }

    func seal(_ request: SealRequest, truncations: Int) async throws(DatabaseError) -> Bool {
        do { try checkFollows() } catch { throw DatabaseError(error, "sealing") }
        return try await sealer?.seal(self, truncations: truncations, request) ?? false
    }
}
