internal import CCordwoodKernels

/// Vectors that an index is to be built of, row after row, and their ids. Growth copies what there is.
struct StagedVectors: ~Copyable {
    private static let firstCapacity = 1024

    let dimensions: Int
    /// Floats from one row to the next; those behind the components are zeros.
    let stride: Int
    /// Vectors are brought to unit length for the cosine.
    let metric: Metric
    private(set) var ids: [UInt64] = []
    private var memory: MappedMemory
    private var capacity: Int

    var count: Int { ids.count }
    var rows: UnsafeMutablePointer<Float> {
        memory.bound(to: Float.self, capacity: capacity * stride)
    }

    /// Throws ``VectorError/Code/invalidDimensions`` or ``VectorError/Code/outOfMemory``.
    init(
        dimensions: Int, stride: Int, metric: Metric, expectedCount: Int
    ) throws(VectorError) {
        try FlatIndex.validate(dimensions: dimensions)
        precondition(stride >= dimensions, "a row of \(dimensions) floats every \(stride)")
        let capacity = max(expectedCount, Self.firstCapacity)
        memory = try Self.memory(capacity: capacity, stride: stride)
        self.capacity = capacity
        self.dimensions = dimensions
        self.stride = stride
        self.metric = metric
    }

    /// Throws as ``FlatIndex/validate(_:dimensions:)``, ``VectorError/Code/full`` when there are
    /// `maximum` vectors, and ``VectorError/Code/outOfMemory``; the vector is not there then.
    mutating func append(
        id: UInt64, vector: Span<Float>, maximum: Int
    ) throws(VectorError) {
        try FlatIndex.validate(vector, dimensions: dimensions)
        guard count < maximum else {
            throw VectorError(.full, "an index holds at most \(maximum) vectors")
        }
        if count == capacity { try grow() }
        let row = rows + count * stride
        vector.withUnsafeBufferPointer { vector in
            if metric == .cosine {
                cordwood_f32_normalize(vector.baseAddress!, dimensions, row)
            } else {
                row.update(from: vector.baseAddress!, count: dimensions)
            }
        }
        ids.append(id)
    }

    /// Throws ``VectorError/Code/duplicateID`` when an id came twice. O(count log count).
    borrowing func checkUnique() throws(VectorError) { try Self.checkUnique(ids) }

    static func checkUnique(_ ids: [UInt64]) throws(VectorError) {
        let sorted = ids.sorted()
        for (id, next) in zip(sorted, sorted.dropFirst()) where id == next {
            throw VectorError(.duplicateID, "id \(id) was added more than once")
        }
    }

    private mutating func grow() throws(VectorError) {
        let larger = try Self.memory(capacity: 2 * capacity, stride: stride)
        larger.base.copyMemory(
            from: memory.base, byteCount: count * stride * MemoryLayout<Float>.stride)
        memory = larger
        capacity *= 2
    }

    private static func memory(capacity: Int, stride: Int) throws(VectorError) -> MappedMemory {
        let (floats, overflow) = capacity.multipliedReportingOverflow(by: stride)
        guard !overflow, floats < Int.max / 8 else {
            throw VectorError(.outOfMemory, "\(capacity) vectors of \(stride) floats")
        }
        return try MappedMemory(byteCount: floats * MemoryLayout<Float>.stride)
    }
}
