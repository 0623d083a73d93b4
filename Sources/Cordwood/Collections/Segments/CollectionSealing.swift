import CordwoodStorage
import Synchronization

/// Seals a collection when it is asked to, and in the background when it is due: one sealing at a time.
final class CollectionSealing: Sendable {
    private struct State {
        var background: Task<Void, Never>?
        var isStopped = false
        var isSealing = false
        /// Why the last sealing failed; nil when it did not.
        var failure: DatabaseError?
        /// Nothing is begun in the background before the head has as many points.
        var nextHeadCount = 0
    }

    private let name: String
    private let views: CurrentView
    private let sealAfter: Int
    private let ownTasksExecutor: (any TaskExecutor)?
    /// Told of each failure in the background, of which nobody else is.
    private let failed: @Sendable (DatabaseError) async -> Void
    private let state = Mutex(State())
    private let turn = AsyncLock()
    /// Where upserts wait while the head is full.
    let room: HeadRoom

    init(
        name: String, views: CurrentView, configuration: CollectionConfiguration,
        ownTasksExecutor: (any TaskExecutor)?,
        failed: @escaping @Sendable (DatabaseError) async -> Void
    ) {
        self.name = name
        self.views = views
        sealAfter = configuration.sealAfter
        room = HeadRoom(name: name, limit: configuration.headLimit ?? .max) {
            views.latest.view.headCount
        }
        self.ownTasksExecutor = ownTasksExecutor
        self.failed = failed
    }

    var failure: DatabaseError? { state.withLock { $0.failure } }
    var isSealing: Bool { state.withLock { $0.isSealing } }

    /// Begins a sealing in the background when one is due; after one that failed only when the head has
    /// grown, or where somebody waits for it. O(1).
    func startIfDue(isAwaited: Bool = false) {
        let view = views.latest.view
        guard view.isSealDue else { return }
        state.withLock { state in
            guard state.background == nil, !state.isStopped,
                isAwaited || view.headCount >= state.nextHeadCount
            else { return }
            state.background = Task(executorPreference: ownTasksExecutor) {
                await self.runBackground()
            }
        }
    }

    private func runBackground() async {
        do throws(DatabaseError) {
            var hasSealed = true
            while hasSealed, views.latest.view.isSealDue { hasSealed = try await seal(.small) }
            if !hasSealed { pause() }
        } catch {
            // Whoever waits for room has to know that there will be none.
            room.fail(
                error.code == .closed
                    ? error
                    : DatabaseError(
                        .sealingFailed, "collection \(name): its head is full", cause: error))
            // Kept for whoever asks: nothing is lost, and the head goes on to grow meanwhile.
            pause()
            if error.code != .closed {
                state.withLock { $0.failure = error }
                await failed(error)
            }
        }
        state.withLock { $0.background = nil }
        // A change that came before that line has begun nothing.
        startIfDue(isAwaited: room.admitWaiters())
    }

    /// Begins nothing in the background before the head has grown.
    private func pause() {
        let headCount = views.latest.view.headCount
        state.withLock { $0.nextHeadCount = headCount + sealAfter }
    }

    /// Seals what there is now; says whether there was anything.
    @discardableResult func seal(
        _ merging: SegmentMerging, progress: @escaping @Sendable (Int, Int) -> Void = { _, _ in }
    ) async throws(DatabaseError) -> Bool {
        let cancelled = CancellationFlag()
        let result = await withTaskCancellationHandler {
            await turn.withLock { () async -> Result<Bool, DatabaseError> in
                let request = SealRequest(
                    merging: merging, progress: progress,
                    isCancelled: { [self] in
                        cancelled.isSet || state.withLock { $0.isStopped }
                    })
                do throws(DatabaseError) {
                    return .success(try await run(request))
                } catch { return .failure(error) }
            }
        } onCancel: {
            cancelled.set()
        }
        let hasSealed = try result.get()
        state.withLock { state in
            state.failure = nil
            state.nextHeadCount = 0
        }
        if room.admitWaiters() { startIfDue(isAwaited: true) }
        return hasSealed
    }

    private func run(_ request: SealRequest) async throws(DatabaseError) -> Bool {
        state.withLock { $0.isSealing = true }
        defer { state.withLock { $0.isSealing = false } }
        while true {
            if state.withLock({ $0.isStopped }) {
                throw DatabaseError(.closed, "collection \(name)")
            }
            let version = try await views.current()
            do throws(DatabaseError) {
                return try await version.view.seal(request, truncations: version.truncations)
            } catch {
                // The log was cut meanwhile: the next view is of what is left.
                if !views.isCurrent(version), !request.isCancelled() { continue }
                throw state.withLock { $0.isStopped }
                    ? DatabaseError(.closed, "collection \(name)", cause: error) : error
            }
        }
    }

    /// Gives up what runs, and waits until it has ended; nothing is begun any more.
    func stop() async {
        let background = state.withLock { state in
            state.isStopped = true
            return state.background
        }
        room.close()
        await background?.value
        await turn.withLock {}
    }
}

/// Set once, from any thread.
final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}
