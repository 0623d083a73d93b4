import CordwoodVectors

/// The flat index that is measured. Never changed once it is built, so that threads may share it.
final class FlatUnderTest: Sendable {
    let index: FlatIndex

    /// Stores every row of the set under its number.
    init(_ set: VectorSet, metric: Metric) throws {
        var index = try FlatIndex(dimensions: set.dimensions, metric: metric)
        try set.forEachRow { id, vector in try index.upsert(id: id, vector: vector, offset: 0) }
        self.index = index
    }

    var bytesPerVector: Double { Double(index.bytesAllocated) / Double(max(index.count, 1)) }
}
