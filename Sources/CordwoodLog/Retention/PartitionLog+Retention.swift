import CordwoodStorage

extension PartitionLog {
    @discardableResult
    public func applyRetention(now: Int64) async throws(LogError) -> Int {
        if plannedRemovals(now: now) > manifest.manifest.sealed.count {
            // All of the active segment is to go: it is sealed first. What is decided next may be
            // less, when records come meanwhile.
            try await roll()
        }
        var removed = 0
        try await changingStructure("applying retention to") { () async throws(StorageError) in
            let count = min(plannedRemovals(now: now), manifest.manifest.sealed.count)
            guard count > 0 else { return }
            let gone = Set(manifest.manifest.sealed.prefix(count).map(\.id))
            try await removeOldest(startingAt: startOffset) { gone.contains($0.id) }
            removed = gone.count
        }
        if removed > 0 { await removeGarbage() }
        return removed
    }

    /// How many segments retention takes now, the active one included.
    private func plannedRemovals(now: Int64) -> Int {
        var segments = manifest.manifest.sealed.map {
            RetentionPlan.Segment(
                id: $0.id, endOffset: $0.end.nextOffset, byteCount: $0.end.position,
                times: $0.times)
        }
        if active.end.nextOffset > active.header.baseOffset {
            segments.append(
                RetentionPlan.Segment(
                    id: active.header.id, endOffset: active.end.nextOffset,
                    byteCount: active.end.position, times: active.times))
        }
        let plan = RetentionPlan(
            startOffset: startOffset, highWatermark: highWatermark, configuration: configuration,
            now: now)
        return plan.count(segments, &retentionSightings)
    }
}
