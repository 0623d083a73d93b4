import CordwoodLog
public import CordwoodVectors

extension Collection {
    /// The `limit` nearest points, or all where there are fewer, by distance and then by id; of those
    /// whose ids are in `allowed`, where it is given. Never fewer than `limit` where there are as many.
    ///
    /// `accuracy` is how near to the truth it has to be in segments; the head is always searched exactly:
    /// O(points of the head × dimensions). Each segment costs a search of its own. With a set of ids
    /// also O(ids) for each segment.
    ///
    /// A segment whose file turns out to be damaged, or cannot be read, is no error: the search waits
    /// until its points were read from the log into the head, O(bytes of the log), and a segment of them is
    /// built in the background (``damage``). Where the log is damaged as well the search throws
    /// ``DatabaseError/Code/log``.
    ///
    /// Throws ``DatabaseError/Code/invalidVector`` for a query, a limit or an accuracy that is refused. A
    /// search of a cancelled task throws ``DatabaseError/Code/cancelled``, unless it is already running.
    public func search(
        _ query: [Float], limit: Int = 10, accuracy: SearchAccuracy = .recall(0.95),
        allowing allowed: Set<UInt64>? = nil
    ) async throws(DatabaseError) -> [Neighbor] {
        try checkIsOneQuery(query)
        return try await search(
            batch: query, limit: limit, accuracy: accuracy, allowing: allowed)[0]
    }

    /// Searches for many queries at once, row after row in `queries`; one result for each. Faster
    /// than one by one: the rows of the head are read once for many queries.
    public func search(
        batch queries: [Float], limit: Int = 10, accuracy: SearchAccuracy = .recall(0.95),
        allowing allowed: Set<UInt64>? = nil
    ) async throws(DatabaseError) -> [[Neighbor]] {
        let search = PointSearch(
            queries: queries, limit: limit, accuracy: accuracy, allowed: allowed)
        return try await inCurrentView(queries.count / configuration.dimensions) {
            version throws(DatabaseError) in
            try await version.view.search(search, truncations: version.truncations)
        }
    }

    /// The points found that are no farther than `distance`, nearest first: the `maximum` nearest of them
    /// where there are more.
    ///
    /// Takes at most about twice as long as a search for as many as there are. Throws as
    /// ``search(_:limit:accuracy:allowing:)``, also for a distance that is not a number.
    public func search(
        _ query: [Float], within distance: Float, maximum: Int = FlatIndex.maximumLimit,
        accuracy: SearchAccuracy = .recall(0.95), allowing allowed: Set<UInt64>? = nil
    ) async throws(DatabaseError) -> [Neighbor] {
        try checkIsOneQuery(query)
        let search = PointSearch(
            queries: query, limit: maximum, accuracy: accuracy, allowed: allowed)
        return try await inCurrentView(1) { version throws(DatabaseError) in
            try await version.view.search(
                search, within: distance, truncations: version.truncations)
        }
    }

    private func inCurrentView<Found>(
        _ queryCount: Int,
        _ search: (CurrentView.Version) async throws(DatabaseError) -> Found
    ) async throws(DatabaseError) -> Found {
        // A segment that was found damaged is built anew.
        defer { sealing.startIfDue() }
        let observer = observation.current
        let start = observer.map { _ in LogObserver.monotonicNow() }
        while true {
            try checkCancellation()
            let version = try await views.current()
            do throws(DatabaseError) {
                let found = try await search(version)
                if let observer, let start {
                    observer.searched(queryCount, LogObserver.monotonicNow() - start)
                }
                return found
            } catch {
                // The log was cut while points were read from it: the next view is of what is left.
                if error.code == .cancelled, !views.isCurrent(version) { continue }
                throw error
            }
        }
    }

    private func checkIsOneQuery(_ query: [Float]) throws(DatabaseError) {
        do { try FlatIndex.validate(query.span, dimensions: configuration.dimensions) } catch {
            throw DatabaseError(error, "search in \(name)")
        }
    }

    private func checkCancellation() throws(DatabaseError) {
        if Task.isCancelled { throw DatabaseError(.cancelled, "search in \(name)") }
    }
}
