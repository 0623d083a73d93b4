import CordwoodStorage

/// Lookup by timestamp. The indexes say where to begin; what is answered comes from records that
/// were read and verified, so an index that lies costs time and no more.
extension PartitionLog {
    /// How often a lookup begins anew because the log's start moved over what it read.
    private static var maximumAttempts: Int { 8 }
    /// About how much a lookup reads at a time; an interval of the index is less.
    private static var lookupBytes: Int { 64 << 10 }

    public nonisolated func offset(
        for query: TimestampQuery, isolation: Isolation = .uncommitted
    ) async throws(LogError) -> TimestampedOffset? {
        var attempt = 1
        while true {
            let view = try timeView(query, isolation)
            do throws(LogError) {
                switch query {
                case .earliest: return TimestampedOffset(offset: view.range.lowerBound)
                case .latest: return TimestampedOffset(offset: view.range.upperBound)
                case .atOrAfter(let timestamp): return try await first(atOrAfter: timestamp, view)
                case .maxTimestamp: return try await latest(view)
                }
            } catch {
                guard error.code == .offsetOutOfRange, startOffset > view.range.lowerBound,
                    attempt < Self.maximumAttempts
                else { throw error }
                attempt += 1
            }
        }
    }

    /// What a lookup sees of the log.
    private struct TimeView {
        /// From the log's start to the end of what the reader's isolation sees.
        var range: Range<Int64>
        /// The sealed segments with offsets in it.
        var sealed: [SealedSegment<S>]
        var activeBase: Int64
        var activeMaxTimestamp: Int64
        /// What the active segment's index says, copied out of it: it grows.
        var hint: TimeHint
    }

    /// What a segment's time index says about a query.
    private struct TimeHint {
        /// Where to begin in search of the timestamp; or, where the largest is wanted, of `maximum`.
        var floor: Int64
        /// The largest timestamp of all batches before ``maximumOffset``.
        var maximum: Int64
        var maximumOffset: Int64

        init(_ times: borrowing TimeIndex, _ query: TimestampQuery, before end: Int64) {
            let entry = times.entry(before: end)
            maximum = entry?.maxTimestamp ?? -1
            maximumOffset = entry?.offset ?? times.baseOffset
            if case .atOrAfter(let timestamp) = query {
                floor = times.floor(timestamp)
            } else {
                floor = times.floor(maximum)
            }
        }
    }

    private nonisolated func timeView(
        _ query: TimestampQuery, _ isolation: Isolation
    ) throws(LogError) -> TimeView {
        let view: TimeView? = state.read { snapshot in
            if snapshot.isClosed { return nil }
            let start = snapshot.startOffset
            let range = start..<max(start, snapshot.end(for: isolation))
            return TimeView(
                range: range, sealed: snapshot.sealed, activeBase: snapshot.activeHeader.baseOffset,
                activeMaxTimestamp: snapshot.activeTimes.maxTimestamp,
                hint: TimeHint(snapshot.activeTimes, query, before: range.upperBound))
        }
        guard var view else { throw LogError(.closed, "\(directory) was closed") }
        view.sealed.removeAll { !$0.info.offsets.overlaps(view.range) }
        return view
    }

    // MARK: First at or after

    private nonisolated func first(
        atOrAfter timestamp: Int64, _ view: TimeView
    ) async throws(LogError) -> TimestampedOffset? {
        for segment in view.sealed where segment.mayHold(timestamp) {
            let range = view.range.clamped(to: segment.info.offsets)
            let floor = try await segment.cachedTimes().floor(timestamp)
            let start = min(max(floor, range.lowerBound), range.upperBound)
            let found = try await first(atOrAfter: timestamp, in: start..<range.upperBound)
            if let found { return found }
        }
        guard view.activeMaxTimestamp >= timestamp else { return nil }
        let start = max(view.hint.floor, view.range.lowerBound)
        return try await first(
            atOrAfter: timestamp, in: start..<max(start, view.range.upperBound))
    }

    /// The first record of a range of offsets with that timestamp or a later one. O(bytes up to it).
    private nonisolated func first(
        atOrAfter timestamp: Int64, in range: Range<Int64>
    ) async throws(LogError) -> TimestampedOffset? {
        try await scan(range) { batch throws(LogError) in
            guard batch.maxTimestamp >= timestamp else { return nil }
            var found: TimestampedOffset?
            try batch.forEachRecord { (record) throws(LogError) in
                guard found == nil, range.contains(record.offset), record.timestamp >= timestamp
                else { return }
                found = TimestampedOffset(offset: record.offset, timestamp: record.timestamp)
            }
            return found
        }
    }

    /// Reads a range batch by batch until `body` has an answer.
    private nonisolated func scan(
        _ range: Range<Int64>,
        _ body: (RecordBatch) throws(LogError) -> TimestampedOffset?
    ) async throws(LogError) -> TimestampedOffset? {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let batches = try await read(
                from: offset, maximumBytes: Self.lookupBytes, isolation: .logEnd)
            guard let last = batches.last else { return nil }
            for batch in batches {
                if batch.baseOffset >= range.upperBound { return nil }
                if let answer = try body(batch) { return answer }
            }
            offset = last.lastOffset + 1
        }
        return nil
    }

    // MARK: The largest

    /// The segments with the largest timestamps first, so that most need no look.
    private nonisolated func latest(_ view: TimeView) async throws(LogError) -> TimestampedOffset? {
        var best: TimestampedOffset?
        let order = view.sealed.sorted { a, b in
            (b.info.times.maxTimestamp, a.baseOffset) < (a.info.times.maxTimestamp, b.baseOffset)
        }
        for segment in order where best.map({ segment.mayHold($0.timestamp ?? -1) }) ?? true {
            let range = view.range.clamped(to: segment.info.offsets)
            let times = try await segment.cachedTimes()
            let hint = TimeHint(times, .maxTimestamp, before: range.upperBound)
            best = Self.later(
                best, try await latest(in: range, hint, atMost: segment.info.times.maxTimestamp))
        }
        if view.activeBase < view.range.upperBound,
            best.map({ view.activeMaxTimestamp > $0.timestamp ?? -1 }) ?? true
        {
            let start = max(view.activeBase, view.range.lowerBound)
            best = Self.later(
                best,
                try await latest(
                    in: start..<view.range.upperBound, view.hint, atMost: view.activeMaxTimestamp))
        }
        return best
    }

    /// The first record with the largest timestamp of one segment's offsets. `limit` is the largest
    /// that the segment is known to have, -1 where it is not known: behind a record that has it
    /// nothing is read, so that damage there is no obstacle.
    private nonisolated func latest(
        in range: Range<Int64>, _ hint: TimeHint, atMost limit: Int64
    ) async throws(LogError) -> TimestampedOffset? {
        let middle = min(max(hint.maximumOffset, range.lowerBound), range.upperBound)
        var best: TimestampedOffset?
        if middle > range.lowerBound {
            let floor = min(max(hint.floor, range.lowerBound), middle)
            best = try await first(atOrAfter: hint.maximum, in: floor..<middle)
            // The record may lie before the log's start, or have been compacted away.
            if best == nil { best = try await scanForLatest(range.lowerBound..<middle) }
            if let best, limit >= 0, best.timestamp == limit { return best }
        }
        return Self.later(best, try await scanForLatest(middle..<range.upperBound))
    }

    /// The same without an index. O(bytes).
    private nonisolated func scanForLatest(
        _ range: Range<Int64>
    ) async throws(LogError) -> TimestampedOffset? {
        var best: TimestampedOffset?
        _ = try await scan(range) { batch throws(LogError) in
            if let best, batch.maxTimestamp <= best.timestamp ?? -1 { return nil }
            try batch.forEachRecord { (record) throws(LogError) in
                guard range.contains(record.offset) else { return }
                let found = TimestampedOffset(offset: record.offset, timestamp: record.timestamp)
                best = Self.later(best, found)
            }
            return nil
        }
        return best
    }

    /// The one with the larger timestamp; of equal ones that with the smaller offset.
    private static func later(
        _ a: TimestampedOffset?, _ b: TimestampedOffset?
    ) -> TimestampedOffset? {
        guard let a, let b, let aTime = a.timestamp, let bTime = b.timestamp else { return a ?? b }
        return (aTime, b.offset) < (bTime, a.offset) ? b : a
    }
}
