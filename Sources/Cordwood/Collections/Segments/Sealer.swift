import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// What a sealing is asked to do.
struct SealRequest: Sendable {
    var merging: SegmentMerging
    /// Told, by one thread at a time, how many of how many vectors are in the index.
    var progress: @Sendable (_ done: Int, _ total: Int) -> Void
    /// Once it says so it does not take it back.
    var isCancelled: @Sendable () -> Bool
}

/// Builds segments from a collection's log.
///
/// A sealing notes which points there are, as of an offset of the log; reads their records from it;
/// builds an index on threads of its own; writes it; names it in the manifest; and moves the points over
/// to it, those that are still the latest. Searches and changes go on meanwhile, and each point is found
/// exactly once at any moment.
///
/// **Nothing is lost.** The manifest says what is live as of that offset, before which everything is
/// durable in the log; what came later is replayed. So it is true whenever power is cut.
struct Sealer<S: Storage>: Sendable {
    /// How many points are moved while searches wait.
    private static var movedAtOnce: Int { 4096 }

    let store: SegmentStore<S>
    let log: any Log
    let configuration: CollectionConfiguration
    let name: String
    /// Threads that build an index.
    let threads: Int
    let observation: CollectionObservation
    /// Told what is wrong with a segment that was in use, in a sentence.
    let noted: @Sendable (String) async -> Void

    private var storage: S { store.storage }
    var points: LogPoints<S> {
        LogPoints(log: log, storage: storage, name: name, dimensions: configuration.dimensions)
    }

    /// Seals what a view has now, where the log has as many truncations as the view knows of; throws
    /// ``DatabaseError/Code/cancelled`` where it gets more meanwhile, and when it is cancelled: nothing
    /// has changed then. Says whether there was anything to be sealed.
    func seal(
        _ view: CollectionView<S>, truncations: Int, _ request: SealRequest
    ) async throws(DatabaseError) -> Bool {
        try await store.turn.withLock { () async throws(DatabaseError) -> Bool in
            try store.checkOpen()
            var request = request
            let isCancelled = request.isCancelled
            request.isCancelled = { [log] in
                isCancelled() || log.truncations.count != truncations
            }
            return try await sealLocked(view, truncations: truncations, request)
        }
    }

    private func sealLocked(
        _ view: CollectionView<S>, truncations: Int, _ request: SealRequest
    ) async throws(DatabaseError) -> Bool {
        try check(request)
        let start = LogObserver.monotonicNow()
        let snapshot = await view.read { SealPlan.Snapshot($0) }
        let damage = store.damage
        let plan = await storage.offload { [maximumCount = store.format.maximumCount, request] in
            SealPlan(
                snapshot, request.merging, damaged: Set(damage.compactMap(\.segment)),
                maximumCount: maximumCount)
        }
        // Also what is sound of files that were found damaged is written down anew.
        guard !plan.isEmpty || !damage.isEmpty else { return false }
        try await waitUntilDurable(plan.appliedOffset)
        let segment = try await build(plan, request)
        let unnamed: [Int64]
        do throws(DatabaseError) {
            let position = await log.position(at: plan.appliedOffset)
            try check(request)
            let segments = plan.kept + (segment.map { [LiveSegment($0, allLive: true)] } ?? [])
            unnamed = try await store.commit(segments, at: position, truncations: truncations)
        } catch {
            // After a failed commit the files may be named: they stay until the next opening.
            if error.code == .cancelled, let segment {
                await store.removeFiles(of: [segment.number])
            }
            throw error
        }
        await publish(segment, plan, in: view)
        if let observer = observation.current {
            if let segment {
                observer.sealed(segment.offsets.count, LogObserver.monotonicNow() - start)
            }
            let left = Set(store.damage)
            let rebuilt = damage.count { !left.contains($0) }
            if rebuilt > 0 { observer.rebuilt(rebuilt) }
        }
        await store.removeFiles(of: unnamed)
        return segment != nil || !plan.merged.isEmpty
    }

    private func check(_ request: SealRequest) throws(DatabaseError) {
        if request.isCancelled() {
            throw DatabaseError(.cancelled, "sealing of collection \(name)")
        }
    }

    /// A manifest that knows of records which a power cut can take away would be of another history.
    private func waitUntilDurable(_ offset: Int64) async throws(DatabaseError) {
        guard offset > log.durableOffset else { return }
        do throws(LogError) { try await log.wait(for: offset - 1..<offset, .durable) } catch {
            throw DatabaseError(error, "sealing of collection \(name)")
        }
    }

    // MARK: Building

    /// Nil where the log has none of the records any more.
    private func build(
        _ plan: SealPlan, _ request: SealRequest
    ) async throws(DatabaseError) -> CollectionSegment? {
        guard !plan.entries.isEmpty else { return nil }
        let number = store.takeNumber()
        do throws(DatabaseError) {
            let builder = try await store.builder(expectedCount: plan.entries.count, number: number)
            let offsets = try await read(plan.entries, into: builder, request)
            if !offsets.isEmpty {
                return try await build(builder, offsets, number, request)
            }
        } catch {
            // A disk that is full is not to stay so because of what nobody will read.
            await store.removeFiles(of: [number])
            throw error
        }
        await store.removeFiles(of: [number])
        return nil
    }

    private func build(
        _ builder: any SegmentBuilder, _ offsets: [UInt64: Int64], _ number: Int64,
        _ request: SealRequest
    ) async throws(DatabaseError) -> CollectionSegment {
        let total = offsets.count
        let built: any VectorIndex
        do {
            built = try await builder.build(
                threads: threads, progress: { request.progress($0, total) },
                isCancelled: request.isCancelled)
        } catch { throw DatabaseError(error, "sealing of collection \(name)") }
        let byPlace = await storage.offload {
            (0..<built.count).map { offsets[built.id(at: $0)] ?? 0 }
        }
        try check(request)
        return try await store.add(built, offsets: byPlace, number: number)
    }

    /// Gives the builder the vectors of the entries, which are by offset; returns the offset of each id.
    private func read(
        _ entries: [SealPlan.Entry], into builder: any SegmentBuilder, _ request: SealRequest
    ) async throws(DatabaseError) -> [UInt64: Int64] {
        var offsets: [UInt64: Int64] = [:]
        offsets.reserveCapacity(entries.count)
        func check() throws(DatabaseError) { try self.check(request) }
        try await points.read(entries, check: check) { found throws(DatabaseError) in
            for point in found {
                let vector = point.vector ?? []
                do throws(VectorError) {
                    try await builder.append(id: point.id, vector: vector.span)
                } catch { throw DatabaseError(error, "sealing of collection \(name)") }
                offsets[point.id] = point.offset
            }
        }
        // A cancelled task reads no more, as if the log ended.
        try check()
        return offsets
    }

    // MARK: Publishing

    /// Moves the points over to the segment, some at a time, so that searches never wait for long.
    private func publish(
        _ segment: CollectionSegment?, _ plan: SealPlan, in view: CollectionView<S>
    ) async {
        if let segment {
            await view.write { $0.add(segment) }
            for start in stride(from: 0, to: segment.offsets.count, by: Self.movedAtOnce) {
                let places = start..<min(start + Self.movedAtOnce, segment.offsets.count)
                await view.write { $0.move(places, to: segment) }
            }
        }
        let start = log.startOffset
        let lost = Array(plan.entries.prefix { $0.offset < start })
        let numbers = Set(plan.merged.map(\.segment.number))
        await view.write { $0.drop(numbers, lost) }
    }
}
