import CordwoodLog
import CordwoodStorage
import CordwoodVectors
import Synchronization

/// The searchable view of a collection's log: an index, and the offset up to which it is true.
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

    private let index: ReadWriteLock<FlatIndex>
    private let order: Mutex<Order>
    private let count: Atomic<Int>
    /// Why the view stopped following its log, when it had to.
    private let failure = Mutex<VectorError?>(nil)
    private let storage: S

    /// A view of an index that holds everything before `appliedOffset`.
    init(_ index: ReadWriteLock<FlatIndex>, appliedOffset: Int64, storage: S) {
        count = Atomic(index.read { $0.count })
        self.index = index
        order = Mutex(Order(next: appliedOffset))
        self.storage = storage
    }

    /// Every record before this offset is in the view.
    var appliedOffset: Int64 { order.withLock { $0.next } }
    /// How many ids it holds, after the last change that was applied.
    var pointCount: Int { count.load(ordering: .acquiring) }

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
            await storage.offload { [self] in
                do throws(VectorError) {
                    try index.write { index throws(VectorError) in
                        for mutation in change.mutations { try mutation.apply(to: &index) }
                        count.store(index.count, ordering: .releasing)
                    }
                } catch { failure.withLock { $0 = error } }
            }
            order.withLock { $0.next = change.offsets.upperBound }
            change.done.resume()
        }
    }

    /// Throws when the index could not take a change that the log holds: it would lie from then on.
    /// Reopening builds it anew.
    func checkFollows() throws(VectorError) {
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    /// Runs a search, or another reading of the index, on the storage's threads.
    func read<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable (borrowing FlatIndex) throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        try await storage.offload { [index] () throws(Failure) in try index.read(body) }
    }
}
