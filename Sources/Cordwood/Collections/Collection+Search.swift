public import CordwoodVectors

extension Collection {
    /// The `limit` nearest points, or all where there are fewer, by distance and then by id; of those
    /// whose ids are in `allowed`, where it is given. Never fewer than `limit` where there are as many.
    ///
    /// `accuracy` is how near to the truth it has to be in segments; the head is always searched exactly:
    /// O(points of the head × dimensions). Each segment costs a search of its own. With a set of ids
    /// also O(ids) for each segment.
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
        try checkCancellation()
        let view = try await views.current().view
        let search = PointSearch(
            queries: queries, limit: limit, accuracy: accuracy, allowed: allowed)
        do { return try await view.search(search) } catch {
            throw DatabaseError(error, "search in \(name)")
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
        try checkCancellation()
        let view = try await views.current().view
        let search = PointSearch(
            queries: query, limit: maximum, accuracy: accuracy, allowed: allowed)
        do { return try await view.search(search, within: distance) } catch {
            throw DatabaseError(error, "search in \(name)")
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
