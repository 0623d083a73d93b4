import CordwoodVectors

/// Why a search failed.
struct PointSearchError: Error {
    var cause: VectorError
    /// The segment that it failed in.
    var segment: CollectionSegment?

    /// The segment whose bytes cannot be had, or are not those that were written.
    var unreadable: CollectionSegment? {
        cause.code == .damaged || cause.code == .storage ? segment : nil
    }
}

/// One search of a collection's points, for one query or more.
struct PointSearch: Sendable {
    /// The components of one query after the other.
    var queries: [Float]
    var limit: Int
    var accuracy: SearchAccuracy
    /// The ids that may be found; nil for all.
    var allowed: Set<UInt64>?

    /// For each query the nearest points, by distance and then by id: at least `limit` of those allowed
    /// where there are as many. The head is searched exactly, each segment as `accuracy` says.
    ///
    /// Throws for what is refused, and where a segment cannot be read, which the error names then.
    ///
    /// Blocks the calling thread. The lock is held for the search of the head: segments do not change,
    /// and what is live in them is copied, so that all is of one moment.
    func run(on points: ReadWriteLock<CollectionPoints>) throws(PointSearchError) -> [[Neighbor]] {
        var found: [[Neighbor]]
        var segments: [LiveSegment]
        do throws(VectorError) {
            try accuracy.validate()
            (found, segments) = try points.read {
                points throws(VectorError) -> ([[Neighbor]], [LiveSegment]) in
                let inHead =
                    if let allowed {
                        try points.head.search(batch: queries.span, limit: limit, allowing: allowed)
                    } else {
                        try points.head.search(batch: queries.span, limit: limit)
                    }
                return (inHead, points.segments)
            }
        } catch { throw PointSearchError(cause: error) }
        segments.removeAll { $0.liveCount == 0 }
        for segment in segments {
            let inSegment: [[Neighbor]]?
            do throws(VectorError) { inSegment = try run(on: segment) } catch {
                throw PointSearchError(cause: error, segment: segment.segment)
            }
            guard let further = inSegment else { continue }
            for query in found.indices { merge(further[query], into: &found[query]) }
        }
        return found
    }

    /// Nil where the segment has nothing that may be found.
    private func run(on segment: LiveSegment) throws(VectorError) -> [[Neighbor]]? {
        let filter: VectorBitmap?
        if let allowed {
            let places = segment.places(of: allowed)
            guard places.setCount > 0 else { return nil }
            filter = places
        } else {
            filter = segment.liveCount < segment.live.count ? segment.live : nil
        }
        return try segment.segment.index.search(
            batch: queries.span, limit: limit, accuracy: accuracy, allowing: filter)
    }

    private func merge(_ further: [Neighbor], into found: inout [Neighbor]) {
        guard !further.isEmpty else { return }
        guard !found.isEmpty else {
            found = further
            return
        }
        var merged: [Neighbor] = []
        merged.reserveCapacity(min(limit, found.count + further.count))
        var (left, right) = (0, 0)
        while merged.count < limit, left < found.count || right < further.count {
            let takesLeft =
                right == further.count
                || left < found.count
                    && (found[left].distance, found[left].id)
                        <= (further[right].distance, further[right].id)
            merged.append(takesLeft ? found[left] : further[right])
            if takesLeft { left += 1 } else { right += 1 }
        }
        found = merged
    }

    /// The points found that are no farther than `distance` from the one query, nearest first: the
    /// `limit` nearest of them where there are more. Looks for twice as many until the last is farther.
    func run(
        on points: ReadWriteLock<CollectionPoints>, within distance: Float
    ) throws(PointSearchError) -> [Neighbor] {
        do throws(VectorError) {
            guard !distance.isNaN else {
                throw VectorError(.notFinite, "the distance to search within is \(distance)")
            }
            try FlatIndex.validate(limit: limit)
        } catch { throw PointSearchError(cause: error) }
        var search = self
        search.limit = min(limit, Self.firstWithin)
        while true {
            let found = try search.run(on: points).first ?? []
            if search.limit == limit || found.count < search.limit
                || found[found.count - 1].distance > distance
            {
                return Array(found.prefix { $0.distance <= distance })
            }
            search.limit = min(limit, 2 * search.limit)
        }
    }

    /// How many are looked for at first within a distance.
    private static let firstWithin = 64
}
