import CordwoodLog

extension Topic {
    /// A cache over the topic, whose values come from a source. A key's records must be where
    /// ``append(_:acknowledge:)`` puts them: in the partition of ``partition(of:)``.
    ///
    /// With ``ViewSource/latestRecord`` this reads the topic, O(its bytes); with a disk tier the indexes of
    /// its blocks and what the log has got since it was closed. Else it begins at the log's end, or, where it
    /// writes to an origin, where that is.
    ///
    /// Throws ``DatabaseError/Code/invalidConfiguration``, ``DatabaseError/Code/viewInUse`` for a disk tier's
    /// name that is taken, and what reading the log throws.
    ///
    /// - Parameter clock: for deadlines and pauses, and for times to live.
    public func cachedView(
        _ configuration: CachedViewConfiguration, from source: ViewSource = .latestRecord,
        clock: any Clock<Duration> = ContinuousClock()
    ) async throws(DatabaseError) -> CachedView {
        try configuration.validate()
        try source.writeBehind?.validate()
        var random = SystemRandomNumberGenerator()
        let hash = KeyHash(using: &random)
        while true {
            // Known before the ends are looked at: what is cut from now on is followed.
            let places = partitions.map {
                ViewPartition($0, topic: name, hash: hash, appliedOffset: 0)
            }
            let ends = partitions.map { $0.endOffset(for: configuration.isolation) }
            let tier = try await diskTier(configuration, source, upTo: ends)
            for (place, end) in zip(places, ends) {
                try await begin(place, source, end, configuration.isolation)
            }
            // What was read until now may be of another history.
            let isCut = zip(places, partitions).contains {
                $0.truncationCount != $1.log.truncations.count
            }
            if isCut { continue }
            return CachedView(
                try ViewCore(
                    self, configuration, source, partitions: places, tier: tier, clock: clock))
        }
    }

    private func diskTier(
        _ configuration: CachedViewConfiguration, _ source: ViewSource, upTo ends: [Int64]
    ) async throws(DatabaseError) -> DiskTier? {
        guard let disk = configuration.disk else { return nil }
        var isOfOrigin = true
        if case .latestRecord = source.kind { isOfOrigin = false }
        return try await TierOpening(
            configuration: disk, topic: self, isolation: configuration.isolation,
            isOfOrigin: isOfOrigin
        ).open(upTo: ends)
    }

    /// Brings a partition of a new view to where it begins to follow.
    private func begin(
        _ place: ViewPartition, _ source: ViewSource, _ end: Int64, _ isolation: Isolation
    ) async throws(DatabaseError) {
        switch source.kind {
        case .origin: place.publish(end)
        case .writtenBehind(_, let writeBehind):
            let committed = await writeBehind.group.committed(place.place)?.continued(in: place.log)
            place.publish(max(committed?.offset ?? 0, place.log.startOffset))
        case .latestRecord: try await fold(place, upTo: end, source.kind, isolation)
        }
    }

    /// Finds the latest record of each key.
    private func fold(
        _ place: ViewPartition, upTo end: Int64, _ kind: ViewSource.Kind, _ isolation: Isolation
    ) async throws(DatabaseError) {
        do throws(LogError) {
            var batches = BatchSequence(
                place.log, from: place.log.startOffset, following: false, isolation: isolation
            ).makeAsyncIterator()
            while let batch = try await batches.next(), batch.baseOffset < end {
                guard !batch.isControl else { continue }
                var records = try RecordReader(batch)
                while let record = try records.next() {
                    guard record.offset < end, let key = record.key else { continue }
                    _ = place.note(record, key: key, leaderEpoch: batch.leaderEpoch, for: kind)
                }
            }
        } catch { throw DatabaseError(error, "\(place.place)") }
        if Task.isCancelled { throw DatabaseError(.cancelled, "opening a view of \(name)") }
        place.publish(end)
    }
}
