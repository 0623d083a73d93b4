import CordwoodStorage

/// What happens beside the appends: space is prepared ahead of them, and what nobody waits for is
/// brought to the medium behind them.
extension ActiveSegment {
    /// Work that is due. The caller runs it, one piece at a time, with ``perform(_:)``.
    enum Work {
        case space(SpaceAhead.Step)
        case writeback(Range<Int>)
        case sync(SegmentCursor, SegmentTimes)
    }

    /// The next piece of work, which counts as begun; nil while there is none.
    func beginWork() -> Work? {
        if isStopped { return nil }
        // Not beside the sync of an append: the system gives each failure to one caller only, and that
        // append would be acknowledged.
        if !isSyncing, !isAppendSyncing,
            end.position - durable.position >= space.limits.unsyncedBytes
        {
            isSyncing = true
            return .sync(end, times)
        }
        let unwritten = max(durable.position, writtenBack)
        if end.position - unwritten >= space.limits.writebackBytes {
            writtenBack = end.position
            return .writeback(unwritten..<end.position)
        }
        return space.begin(appended: appendedBytes, synced: syncedBytes, limit: segmentBytes)
            .map { .space($0) }
    }

    /// Does a piece of work. Only a sync can fail: no write or sync may follow it then.
    func perform(_ work: Work) async throws(StorageError) {
        switch work {
        case .space(let step):
            var succeeded = true
            do throws(StorageError) {
                switch step {
                case .reserve(let size): try await file.preallocate(to: size)
                case .zeros(let range): try await file.writeZeros(range)
                }
            } catch {
                // Nothing is lost but time: an append that needs the space meets its own error.
                succeeded = false
            }
            space.end(succeeded: succeeded)
            waiters.resumeAll()
        case .writeback(let range):
            await file.beginWriteback(range)
        case .sync(let place, let placeTimes):
            do throws(StorageError) { try await file.sync() } catch {
                syncFailure = error
                isSyncing = false
                waiters.resumeAll()
                throw error
            }
            if place.position > durable.position { noteDurable(place, placeTimes) }
            isSyncing = false
            waiters.resumeAll()
        }
    }

    /// Waits until work beside the appends cannot touch bytes before `position`, nor, for an append
    /// that is to be synced, take the report of a failed sync away from it: the system gives each
    /// failure to one caller only. Throws that failure.
    func waitForWork(before position: Int, syncs: Bool) async throws(StorageError) {
        var isInTheWay: Bool { space.isInTheWay(of: position) || (syncs && isSyncing) }
        while isInTheWay { await waiters.wait { isInTheWay } }
        if let syncFailure { throw syncFailure }
    }

    /// Ends the work beside the appends for good. When this returns nothing changes the file any
    /// more. Throws where the last sync failed.
    func stopWork() async throws(StorageError) {
        isStopped = true
        space.stop()
        try await waitForWork(before: .max, syncs: true)
    }
}
