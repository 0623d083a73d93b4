public import CordwoodStorage

/// Vectors that do not change, each with an id, and a way to find those near to a query.
///
/// A vector's place is its number in the index, 0 to ``count`` - 1: what the bits of a filter are
/// numbered by.
///
/// **Threads.** Immutable: any number of searches may run at once, each on the thread that calls it and
/// blocks it until it is done.
public protocol VectorIndex: AnyObject, Sendable {
    var dimensions: Int { get }
    var metric: Metric { get }
    /// How many vectors there are.
    var count: Int { get }
    /// Bytes in memory, without what searches borrow.
    var bytesAllocated: Int { get }

    /// The id of the vector at a place, which must be in `0..<count`.
    func id(at place: Int) -> UInt64

    /// For each query the `limit` nearest vectors that were found, by distance and then by id: of those
    /// whose bit is set, where `allowing` is given, which must have ``count`` bits. Never fewer than
    /// `limit` where there are as many. `batch` has the components of one query after the other.
    ///
    /// Throws as ``FlatIndex/search(_:limit:)``, and ``VectorError/Code/invalidEffort`` when the accuracy
    /// is out of its range.
    func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy, allowing allowed: VectorBitmap?
    ) throws(VectorError) -> [[Neighbor]]

    /// Writes the index to a file; returns when the file and its name are durable. Throws
    /// ``VectorError/Code/storage``: a file that had the name is then still there, or the new one is.
    func save<S: Storage>(to path: StoragePath, on storage: S) async throws(VectorError)
}

extension VectorIndex {
    /// The `limit` nearest vectors that were found; see
    /// ``search(batch:limit:accuracy:allowing:)``.
    public func search(
        _ query: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        try FlatIndex.validate(query, dimensions: dimensions)
        return try search(batch: query, limit: limit, accuracy: accuracy, allowing: allowed)[0]
    }

    /// The vectors found that are no farther than `distance`, nearest first: the `maximum` nearest of
    /// them, where there are more.
    ///
    /// Looks for twice as many until the last is farther, so that it takes at most about twice as long
    /// as a search for as many as there are. Throws as ``search(_:limit:accuracy:allowing:)``, and
    /// ``VectorError/Code/notFinite`` for a distance that is not a number.
    public func search(
        _ query: Span<Float>, within distance: Float, maximum: Int = FlatIndex.maximumLimit,
        accuracy: SearchAccuracy = .effort(100), allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        guard !distance.isNaN else {
            throw VectorError(.notFinite, "the distance to search within is \(distance)")
        }
        try FlatIndex.validate(limit: maximum)
        var limit = min(maximum, 64)
        while true {
            let found = try search(query, limit: limit, accuracy: accuracy, allowing: allowed)
            if limit == maximum || found.count < limit || found[found.count - 1].distance > distance
            {
                return Array(found.prefix { $0.distance <= distance })
            }
            limit = min(maximum, 2 * limit)
        }
    }
}
