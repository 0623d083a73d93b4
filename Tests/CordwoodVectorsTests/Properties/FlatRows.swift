import CordwoodStorage

@testable import CordwoodVectors

/// The rows of a flat index, which do not change any more, as the protocol of indexes has them: by the
/// order in which they came, and under a filter by their ids.
final class FlatRows: VectorIndex, @unchecked Sendable {
    // Sendable: nobody changes it.
    private let rows: FlatIndex
    private let ids: [UInt64]

    fileprivate init(_ rows: consuming FlatIndex, ids: [UInt64]) {
        self.rows = rows
        self.ids = ids
    }

    var dimensions: Int { rows.dimensions }
    var metric: Metric { rows.metric }
    var count: Int { rows.count }
    var bytesAllocated: Int { rows.bytesAllocated }

    func id(at place: Int) -> UInt64 { ids[place] }

    func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy, allowing allowed: VectorBitmap?
    ) throws(VectorError) -> [[Neighbor]] {
        try accuracy.validate()
        guard let allowed else { return try rows.search(batch: batch, limit: limit) }
        var allowedIDs: Set<UInt64> = []
        for (place, id) in ids.enumerated() where allowed[place] { allowedIDs.insert(id) }
        return try rows.search(batch: batch, limit: limit, allowing: allowedIDs)
    }

    func save<S: Storage>(to path: StoragePath, on storage: S) async throws(VectorError) {
        throw VectorError(.storage, "\(path): rows in memory have no file")
    }
}

struct FlatRowsBuilder: MemoryBuilder, ~Copyable {
    private var rows: FlatIndex
    private var ids: [UInt64] = []
    private var hasDuplicates = false

    init(dimensions: Int, metric: Metric) throws(VectorError) {
        rows = try FlatIndex(dimensions: dimensions, metric: metric)
    }

    mutating func append(id: UInt64, vector: Span<Float>) throws(VectorError) {
        hasDuplicates = hasDuplicates || rows.contains(id)
        try rows.upsert(id: id, vector: vector, offset: 0)
        ids.append(id)
    }

    /// Rows are replaced by those that come later under their ids; places are not.
    consuming func index(threads: Int) throws(VectorError) -> FlatRows {
        guard !hasDuplicates else { throw VectorError(.duplicateID, "an id came twice") }
        return FlatRows(rows, ids: ids)
    }
}
