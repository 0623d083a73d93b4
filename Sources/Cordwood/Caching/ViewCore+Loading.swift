import CordwoodLog

extension ViewCore {
    /// What a key has: on the disk, on its way to the origin, in the log or in the origin.
    ///
    /// Runs as a load of the cache, which does not keep the result when the key's record came meanwhile.
    func load(_ key: [UInt8]) async throws -> [UInt8]? {
        let place = partition(of: key)
        if let value = await tier?.value(for: key) { return value }
        count { $0.sourceLoads += 1 }
        switch source.kind {
        case .latestRecord: return try await latest(key, in: place)
        case .origin(let load): return try await load(key)
        case .writtenBehind(let load, _):
            if let pending = place.pending(key) { return pending.value }
            return try await load(key)
        }
    }

    /// How often a record is looked for that compaction takes out meanwhile.
    private static let maximumLooks = 16

    /// The value of a key's latest record.
    private func latest(
        _ key: [UInt8], in place: ViewPartition
    ) async throws(DatabaseError) -> [UInt8]? {
        for _ in 0..<Self.maximumLooks {
            guard let offset = place.latestOffset(of: key) else { return nil }
            if offset < place.log.startOffset {
                // It was given up, by retention or by hand: the view sees nothing of that.
                return nil
            }
            if let record = try await record(at: offset, in: place) {
                guard record.key == key else {
                    throw DatabaseError(
                        .malformedState,
                        "\(place.place), offset \(offset): expected the latest record of a key, "
                            + "found one of another key")
                }
                return record.value
            }
            // Compaction has taken it out, so a later one of the key is visible, which the view has not
            // come to. Or the log was cut.
            let end = place.partition.endOffset(for: configuration.isolation)
            if end > place.appliedOffset { try await wait(for: end - 1, in: place) }
        }
        throw DatabaseError(
            .malformedState, "\(place.place): the latest record of a key is not where it was")
    }

    /// The record at an offset; nil where there is none any more.
    private func record(
        at offset: Int64, in place: ViewPartition
    ) async throws(DatabaseError) -> StoredRecord? {
        do throws(LogError) {
            let batches = try await place.log.read(
                from: offset, maximumBytes: 1, isolation: .uncommitted)
            guard let batch = batches.first, batch.baseOffset <= offset else { return nil }
            var records = try RecordReader(batch)
            while let record = try records.next() {
                if record.offset == offset { return record }
            }
            return nil
        } catch {
            // The log was cut, or its start has moved.
            if error.code == .offsetOutOfRange { return nil }
            throw DatabaseError(error, "\(place.place)")
        }
    }

    /// Suspends until the view has a record, as long as ``CachedViewConfiguration/readDeadline`` allows.
    func wait(for offset: Int64, in place: ViewPartition) async throws(DatabaseError) {
        guard let deadline = configuration.readDeadline else {
            return try await place.wait(for: offset)
        }
        let clock = clock
        let result = await withTaskGroup(of: Result<Void, DatabaseError>?.self) { tasks in
            tasks.addTask {
                do throws(DatabaseError) {
                    return .success(try await place.wait(for: offset))
                } catch { return .failure(error) }
            }
            tasks.addTask {
                // Cancelled where the record came first; the caller's own cancellation ends both.
                do { try await clock.sleep(for: deadline) } catch { return nil }
                return .failure(
                    DatabaseError(
                        .deadlineExceeded,
                        "\(place.place): expected offset \(offset) within \(deadline), the view is at "
                            + "\(place.appliedOffset)"))
            }
            defer { tasks.cancelAll() }
            while let result = await tasks.next() {
                if let result { return result }
            }
            return .failure(DatabaseError(.cancelled, "a view of \(place.place)"))
        }
        try result.get()
    }
}
