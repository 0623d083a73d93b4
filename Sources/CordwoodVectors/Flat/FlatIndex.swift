internal import CCordwoodKernels

/// Exact search: every vector, row by row, and every query compared with all of them.
///
/// **Memory.** Rows lie one behind the other, with no padding: a scan is bound by the bytes that it
/// reads. Id, log offset, norm and table slot add at most 24 bytes a row. Growth maps another block
/// and copies no rows, save that the system gathers a block that is full into huge pages.
///
/// **Threads.** The index has no lock. Any number of searches and lookups may run at the same time,
/// or one mutation alone; the caller sees to it.
public struct FlatIndex: ~Copyable, @unchecked Sendable {
    // Sendable although it holds unsafe memory: the memory has this one owner, reads change
    // nothing, and exclusive access to the struct is exclusive access to the memory.

    public static let dimensionsRange = 1...65_536
    /// The most results that one search returns.
    public static let maximumLimit = 65_536
    /// An entry of a dictionary that is three quarters full, roughly.
    private static let farOffsetSizeBytes = 24

    public let dimensions: Int
    public let metric: Metric
    public private(set) var count = 0

    /// Bounds how much the products of ``MatrixProduct`` and the distances of the kernels can be
    /// off, relative to the squared norms of what they are made of: the usual bound of n roundings
    /// of a sum of n terms, and some for the steps around it.
    let relativeError: Double
    var blocks: [RowBlock] = []
    private var table = RowTable()
    /// The offsets that do not fit in a row.
    private var farOffsets: [UInt64: Int64] = [:]

    /// An empty index. Throws ``VectorError/Code/invalidDimensions`` outside 1...65,536.
    public init(dimensions: Int, metric: Metric) throws(VectorError) {
        try Self.validate(dimensions: dimensions)
        MatrixProduct.prepare()
        self.dimensions = dimensions
        self.metric = metric
        relativeError = 1.1 * Double(dimensions + 32) * 0x1p-24
    }

    /// Resident bytes: rows, what belongs to each, and the table.
    public var bytesAllocated: Int {
        let beside = table.bytesAllocated + farOffsets.count * Self.farOffsetSizeBytes
        guard let last = blocks.last else { return beside }
        let full = (blocks.count - 1) * last.residentBytes(rows: last.capacity)
        let rest = last.residentBytes(rows: count - (blocks.count - 1) * last.capacity)
        return full + rest + beside
    }

    // MARK: Lookups

    /// Whether a vector has this id. O(1) expected, as all lookups.
    public func contains(_ id: UInt64) -> Bool { row(of: id) != nil }

    /// The log offset that the id's vector was stored with, or nil.
    public func offset(of id: UInt64) -> Int64? {
        guard let row = row(of: id) else { return nil }
        if let far = farOffsets[id] { return far }
        let (block, index) = place(of: row)
        return block[offset: index]
    }

    /// Where the id's row lies until the next mutation, or nil.
    func address(of id: UInt64) -> UnsafePointer<Float>? {
        guard let row = row(of: id) else { return nil }
        let (block, index) = place(of: row)
        return UnsafePointer(block.rows + index * dimensions)
    }

    /// The id's vector as it is stored, which is at unit length for the cosine, or nil.
    public func vector(of id: UInt64) -> [Float]? {
        address(of: id).map { Array(UnsafeBufferPointer(start: $0, count: dimensions)) }
    }

    // MARK: Mutations

    /// Stores a vector under its id, in the place of the one that had the id, with the offset of
    /// the record that says so. Amortised O(dimensions).
    ///
    /// Throws as ``validate(_:dimensions:)``, and ``VectorError/Code/full`` or
    /// ``VectorError/Code/outOfMemory``; nothing has changed then.
    public mutating func upsert(
        id: UInt64, vector: Span<Float>, offset: Int64
    ) throws(VectorError) {
        try Self.validate(vector, dimensions: dimensions)
        let row: Int
        if let existing = self.row(of: id) {
            row = existing
        } else {
            row = try append(id)
        }
        write(vector, at: row)
        setOffset(offset, of: id, at: row)
    }

    /// Removes an id, and returns whether it was there. The last row takes its place.
    /// O(dimensions).
    public mutating func remove(id: UInt64) -> Bool {
        let blocks = blocks
        guard let row = table.remove(id, idOfRow: { Self.id(of: $0, in: blocks) }) else {
            return false
        }
        let hole = place(of: row)
        let last = place(of: count - 1)
        if row != count - 1 {
            let movedID = last.block.ids[last.index]
            table.move(movedID, to: row, idOfRow: { Self.id(of: $0, in: blocks) })
            hole.block.ids[hole.index] = movedID
            hole.block.norms?[hole.index] = last.block.norms?[last.index] ?? 0
            hole.block.largestSquaredNorm = max(
                hole.block.largestSquaredNorm, last.block.largestSquaredNorm)
            hole.block[offset: hole.index] = last.block[offset: last.index]
            (hole.block.rows + hole.index * dimensions).update(
                from: last.block.rows + last.index * dimensions, count: dimensions)
        }
        farOffsets[id] = nil
        count -= 1
        if last.index == 0 { self.blocks.removeLast() }
        return true
    }

    // MARK: Validation

    /// Throws ``VectorError/Code/invalidDimensions`` outside 1...65,536.
    public static func validate(dimensions: Int) throws(VectorError) {
        guard dimensionsRange.contains(dimensions) else {
            throw VectorError(
                .invalidDimensions,
                "expected \(dimensionsRange.lowerBound) to \(dimensionsRange.upperBound), "
                    + "found \(dimensions)")
        }
    }

    /// Throws ``VectorError/Code/wrongDimensions`` or ``VectorError/Code/notFinite`` when an index
    /// of so many dimensions refuses the vector. O(dimensions).
    public static func validate(
        _ vector: Span<Float>, dimensions: Int
    ) throws(VectorError) {
        guard vector.count == dimensions else {
            throw VectorError(
                .wrongDimensions, "expected \(dimensions) components, found \(vector.count)")
        }
        let bad = vector.withUnsafeBufferPointer {
            cordwood_f32_first_not_finite($0.baseAddress, $0.count)
        }
        guard bad == vector.count else {
            throw VectorError(
                .notFinite, "component \(bad) of \(vector.count) is \(vector[bad])")
        }
    }

    // MARK: Rows

    private func row(of id: UInt64) -> Int? {
        table.row(of: id) { Self.id(of: $0, in: blocks) }
    }

    private func place(of row: Int) -> (block: RowBlock, index: Int) {
        let (block, index) = row.quotientAndRemainder(dividingBy: blocks[0].capacity)
        return (blocks[block], index)
    }

    private static func id(of row: Int, in blocks: [RowBlock]) -> UInt64 {
        let (block, index) = row.quotientAndRemainder(dividingBy: blocks[0].capacity)
        return blocks[block].ids[index]
    }

    /// Makes a row for a new id.
    private mutating func append(_ id: UInt64) throws(VectorError) -> Int {
        guard count < RowTable.maximumRows else {
            throw VectorError(.full, "an index holds at most \(RowTable.maximumRows) vectors")
        }
        if count == blocks.count * (blocks.first?.capacity ?? 0) {
            let block = try RowBlock(stride: dimensions, hasNorms: metric == .l2)
            blocks.last?.useHugePages()
            blocks.append(block)
        }
        let row = count
        let (block, index) = place(of: row)
        block.ids[index] = id
        let blocks = blocks
        table.insert(id, row: row) { Self.id(of: $0, in: blocks) }
        count += 1
        return row
    }

    private func write(_ vector: Span<Float>, at row: Int) {
        let (block, index) = place(of: row)
        let floats = block.rows + index * dimensions
        vector.withUnsafeBufferPointer { vector in
            switch metric {
            case .l2:
                floats.update(from: vector.baseAddress!, count: dimensions)
                block.norms?[index] = lowerBound(
                    ofSquaredNorm: cordwood_f32_squared_norm(floats, dimensions))
            case .innerProduct:
                floats.update(from: vector.baseAddress!, count: dimensions)
                block.largestSquaredNorm = max(
                    block.largestSquaredNorm, cordwood_f32_squared_norm(floats, dimensions))
            case .cosine:
                cordwood_f32_normalize(vector.baseAddress!, dimensions, floats)
                block.largestSquaredNorm = max(
                    block.largestSquaredNorm, cordwood_f32_squared_norm(floats, dimensions))
            }
        }
    }

    private mutating func setOffset(_ offset: Int64, of id: UInt64, at row: Int) {
        let fits = (0..<RowBlock.offsetLimit).contains(offset)
        if fits {
            if !farOffsets.isEmpty { farOffsets[id] = nil }
        } else {
            farOffsets[id] = offset
        }
        let (block, index) = place(of: row)
        block[offset: index] = fits ? offset : 0
    }
}
