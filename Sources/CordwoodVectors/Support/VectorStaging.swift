internal import CCordwoodKernels

/// Vectors and their ids as they come, before an index is built of them.
struct VectorStaging: ~Copyable {
    private static let firstCapacity = 1024

    let dimensions: Int
    let metric: Metric
    private(set) var ids: [UInt64] = []
    private var rows: MappedMemory
    private var capacity: Int

    var count: Int { ids.count }

    /// `expectedCount` vectors need no growth, each of which copies what there is. Throws
    /// ``VectorError/Code/invalidDimensions`` or ``VectorError/Code/outOfMemory``.
    init(dimensions: Int, metric: Metric, expectedCount: Int) throws(VectorError) {
        try FlatIndex.validate(dimensions: dimensions)
        let capacity = max(expectedCount, Self.firstCapacity)
        let rows = try Self.memory(capacity: capacity, dimensions: dimensions)
        self.capacity = capacity
        self.rows = rows
        self.dimensions = dimensions
        self.metric = metric
    }

    /// Adds a vector, at unit length where the metric is the cosine. Amortised O(dimensions).
    ///
    /// Throws as ``FlatIndex/validate(_:dimensions:)``, ``VectorError/Code/full`` above `maximumCount`
    /// and ``VectorError/Code/outOfMemory``; the vector is not there then.
    mutating func append(
        id: UInt64, vector: Span<Float>, maximumCount: Int
    ) throws(VectorError) {
        try FlatIndex.validate(vector, dimensions: dimensions)
        guard count < maximumCount else {
            throw VectorError(.full, "an index holds at most \(maximumCount) vectors")
        }
        if count == capacity { try grow() }
        let row = floats + count * dimensions
        vector.withUnsafeBufferPointer { vector in
            if metric == .cosine {
                cordwood_f32_normalize(vector.baseAddress!, dimensions, row)
            } else {
                row.update(from: vector.baseAddress!, count: dimensions)
            }
        }
        ids.append(id)
    }

    /// The vectors, one behind the other, for as long as this value lives.
    var floats: UnsafeMutablePointer<Float> {
        rows.bound(to: Float.self, capacity: capacity * dimensions)
    }

    /// Throws ``VectorError/Code/duplicateID`` when an id came twice. O(n log n).
    func checkUnique() throws(VectorError) {
        let sorted = ids.sorted()
        for (id, next) in zip(sorted, sorted.dropFirst()) where id == next {
            throw VectorError(.duplicateID, "id \(id) was added more than once")
        }
    }

    private mutating func grow() throws(VectorError) {
        let larger = try Self.memory(capacity: 2 * capacity, dimensions: dimensions)
        larger.base.copyMemory(
            from: rows.base, byteCount: count * dimensions * MemoryLayout<Float>.stride)
        rows = larger
        capacity *= 2
    }

    private static func memory(capacity: Int, dimensions: Int) throws(VectorError) -> MappedMemory {
        let (floats, overflow) = capacity.multipliedReportingOverflow(by: dimensions)
        guard !overflow, floats < Int.max / 8 else {
            throw VectorError(.outOfMemory, "\(capacity) vectors of \(dimensions) dimensions")
        }
        return try MappedMemory(byteCount: floats * MemoryLayout<Float>.stride)
    }
}
