import CordwoodStorage

extension PartitionLog {
    /// Starts the work beside the appends that is due; see ``ActiveSegment/beginWork()``.
    func startWorkAhead() {
        prepareSpare()
        guard let work = active.beginWork() else { return }
        Task { [active] in await onOwnTasksExecutor { await runWorkAhead(active, work) } }
    }

    /// Runs work for a segment until none is due. One call at a time does a given kind of it.
    private func runWorkAhead(
        _ segment: ActiveSegment<S>, _ first: ActiveSegment<S>.Work
    ) async {
        var next: ActiveSegment<S>.Work? = first
        while let work = next {
            do throws(StorageError) { try await segment.perform(work) } catch {
                // A truncation may have given the segment up.
                if segment === active, failure == nil { poison(error) }
                return
            }
            if case .sync(let place, _) = work, segment === active {
                state.publish { $0.durableOffset = max($0.durableOffset, place.nextOffset) }
            }
            next = segment.beginWork()
        }
    }

    // MARK: The next segment

    /// Makes the next segment's file when the active one nears its end: once for each, since what
    /// failed (there is no space) is met by the roll itself.
    private func prepareSpare() {
        let limits = active.space.limits
        guard case .missing(let tried) = spare, tried != active.header.id, !refusesAppends,
            active.appendedBytes >= limits.firstBytes,
            active.room <= min(limits.spareBytes, active.segmentBytes / 2)
        else { return }
        let size = SpaceAhead.spare(
            synced: active.syncedBytes, segmentBytes: configuration.segmentBytes, limits: limits)
        let id = active.header.id
        spare = .preparing(
            Task { [directory, storage] in
                var made: SpareSegment<S>?
                await onOwnTasksExecutor {
                    do throws(StorageError) {
                        made = try await SpareSegment.prepare(
                            in: directory, on: storage, byteCount: size.byteCount,
                            zeroCount: size.zeroCount, stepBytes: limits.stepBytes)
                    } catch {
                        // Nothing is lost: the roll makes the file, or meets its own error.
                    }
                }
                spare = made.map { .ready($0) } ?? .missing(tried: id)
            })
    }

    /// Waits for a spare in the making, and gives the space back.
    func discardSpare() async {
        if case .preparing(let task) = spare { await task.value }
        guard let ready = spare.take() else { return }
        // A file that stays is removed by the next opening.
        try? await ready.discard(on: storage)
    }
}

/// Whether the next segment's file is there.
enum SpareState<S: Storage> {
    /// `tried`: the active segment for which making one failed.
    case missing(tried: SegmentID?)
    case preparing(Task<Void, Never>)
    case ready(SpareSegment<S>)

    /// Hands it out where it is ready. One that is in the making serves the roll after.
    mutating func take() -> SpareSegment<S>? {
        guard case .ready(let segment) = self else { return nil }
        self = .missing(tried: nil)
        return segment
    }
}
