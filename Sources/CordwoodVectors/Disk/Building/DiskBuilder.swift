internal import CCordwoodKernels
public import CordwoodStorage

/// Takes vectors, and builds a ``DiskIndex`` of them in a file.
///
/// **Memory.** The vectors wait in a second file, `NAME.rows`; ids are in memory, 8 bytes each. While the
/// index is built it takes at most ``DiskConfiguration/buildMemoryCapBytes``: where the whole graph does
/// not fit, graphs of overlapping pieces are built one after the other and merged through a third file,
/// `NAME.pieces` (DiskANN: Subramanya et al., NeurIPS 2019, section 3.3), which takes about twice as
/// long. **Files.** Those beside the index are removed when it is built and when building it fails; what
/// a crash leaves is removed, or written over, by the next builder. **Determinism.** The same vectors in
/// the same order, with the same configuration, give the same file with any number of threads; so they
/// do in pieces, on one machine. **Threads.** One caller at a time.
public struct DiskBuilder<S: Storage>: ~Copyable {
    public let dimensions: Int
    public let metric: Metric
    public let configuration: DiskConfiguration
    public private(set) var count = 0

    private let path: StoragePath
    private let storage: S
    private let rows: S.File
    private let shape: DiskRows.Shape
    private var ids: [UInt64] = []
    private var element = DiskElement.uint8
    private var piece: MemoryBlock
    private var pieceCount = 0
    /// Of all rows that were written.
    private var checksum: UInt32 = 0

    /// An empty builder of the file at `path`, beside which it keeps the vectors. Throws
    /// ``VectorError/Code/invalidDimensions``, ``VectorError/Code/invalidConfiguration``,
    /// ``VectorError/Code/outOfMemory`` or ``VectorError/Code/storage``.
    public init(
        dimensions: Int, metric: Metric, configuration: DiskConfiguration = .init(),
        at path: StoragePath, on storage: S
    ) async throws(VectorError) {
        try FlatIndex.validate(dimensions: dimensions)
        try configuration.validate()
        let shape = DiskRows.Shape(dimensions: dimensions, metric: metric)
        let piece = try Self.makePiece(shape, configuration)
        let rows = try await VectorError.of("building \(path)") { () throws(StorageError) in
            // The others are written over only where they are needed again.
            for file in BuildFile.allCases where file != .rows {
                try await file.remove(beside: path, on: storage)
            }
            let rows = try await storage.open(
                try BuildFile.rows.path(beside: path), .openOrCreate)
            try await rows.truncate(to: 0)
            return rows
        }
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        self.path = path
        self.storage = storage
        self.rows = rows
        self.shape = shape
        self.piece = piece
    }

    /// Room for the vectors that are written to their file at a time.
    private static func makePiece(
        _ shape: DiskRows.Shape, _ configuration: DiskConfiguration
    ) throws(VectorError) -> MemoryBlock {
        let bytes = DiskBuildPlan.chunkBytes(cap: configuration.buildMemoryCapBytes)
        return try .mapped(count: max(1, bytes / shape.rowBytes) * shape.rowBytes)
    }

    /// Adds a vector under an id that no other has. Amortised O(dimensions).
    ///
    /// Throws as ``FlatIndex/validate(_:dimensions:)``, and ``VectorError/Code/full``; the vector is not
    /// there then. Throws ``VectorError/Code/storage`` when vectors cannot be written, or
    /// ``VectorError/Code/outOfMemory``; the builder is of no use then. Whether an id comes twice is looked at by ``build(threads:progress:)``.
    public mutating func append(id: UInt64, vector: Span<Float>) async throws(VectorError) {
        try stage(id, vector)
        if pieceCount == piece.count { try await writePiece() }
    }

    private mutating func stage(_ id: UInt64, _ vector: Span<Float>) throws(VectorError) {
        try FlatIndex.validate(vector, dimensions: dimensions)
        guard count < DiskIndex.maximumCount else {
            throw VectorError(.full, "an index holds at most \(DiskIndex.maximumCount) vectors")
        }
        let row = (piece.unsafeMutableBytes.baseAddress! + pieceCount)
            .assumingMemoryBound(to: Float.self)
        vector.withUnsafeBufferPointer { vector in
            shape.write(vector.baseAddress!, to: row)
            if element != .float32 {
                element = element.joined(
                    with: DiskElement(of: vector.baseAddress!, count: dimensions))
            }
        }
        pieceCount += shape.rowBytes
        ids.append(id)
        count += 1
    }

    private mutating func writePiece() async throws(VectorError) {
        let bytes = MemorySlice(piece, 0..<pieceCount)
        let position = count * shape.rowBytes - pieceCount
        checksum = indexChecksum(bytes.unsafeBytes, after: checksum)
        piece = try Self.makePiece(shape, configuration)
        pieceCount = 0
        let rows = rows
        try await VectorError.of("building \(path)") { () throws(StorageError) in
            try await rows.write(
                [FileWrite(at: position, [bytes])], thenSync: false, inBackground: true)
        }
    }

    /// Builds the index and opens it. O(n log n) distances, on `threads` threads, of which the first is
    /// one of the storage's; each further one takes memory of its own, some 100 KB and a bit a vector.
    /// `progress` is told, by one thread at a time, how many nodes are in. When it returns, the file and
    /// its name are durable.
    ///
    /// `isCancelled` is asked now and then; once it says so it must not take it back.
    ///
    /// Throws ``VectorError/Code/duplicateID`` when an id came twice, ``VectorError/Code/cancelled``,
    /// ``VectorError/Code/memoryCap`` when either cap is too low for so many vectors, with what it would
    /// take (that of building: about 40 bytes a vector), ``VectorError/Code/outOfMemory``, and
    /// ``VectorError/Code/storage``: a file that had the name is then still there, or the new one is.
    public consuming func build(
        threads: Int = 1, progress: @escaping @Sendable (Int) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) async throws(VectorError) -> DiskIndex {
        precondition(threads > 0, "expected at least one thread, found \(threads)")
        do throws(VectorError) {
            if pieceCount > 0 { try await writePiece() }
            try await writeIndex(threads, progress, isCancelled)
        } catch {
            await rows.close()
            // What cannot be removed is by the next builder; why there is no index says more.
            _ = await BuildFile.removeAll(beside: path, on: storage)
            throw error
        }
        await rows.close()
        if let error = await BuildFile.removeAll(beside: path, on: storage) {
            throw VectorError(.storage, "building \(path): \(error)")
        }
        return try await DiskIndex.open(path, on: storage)
    }

    private func writeIndex(
        _ threads: Int, _ progress: @escaping @Sendable (Int) -> Void,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) async throws(VectorError) {
        try StagedVectors.checkUnique(ids)
        let description = DiskDescription(
            dimensions: dimensions, metric: metric, configuration: configuration, element: element)
        var writer = DiskFileWriter(path: path, storage: storage)
        guard count > 0 else { return try await writer.write(empty: description) }
        let construction = DiskConstruction(
            rows: try await mappedRows(), ids: ids, description: description,
            plan: try DiskBuildPlan(
                vectors: count, dimensions: dimensions, configuration: configuration),
            threads: threads, progress: progress, isCancelled: isCancelled)
        writer.chunkBytes = construction.plan.chunkBytes
        if construction.plan.isWhole {
            let built = try await storage.offloadLong { () throws(VectorError) in
                try construction.runWhole()
            }
            return try await writer.write(built, threads: threads)
        }
        var pieces = try await PiecewiseConstruction(construction, at: path, on: storage)
        do throws(VectorError) {
            try await writer.write(try await pieces.run(), threads: threads)
        } catch {
            await pieces.close()
            throw error
        }
        await pieces.close()
    }

    private func mappedRows() async throws(VectorError) -> DiskRows {
        let (rows, byteCount) = (rows, count * shape.rowBytes)
        let block = try await VectorError.of("building \(path)") { () throws(StorageError) in
            try await rows.map(count: byteCount)
        }
        return DiskRows(shape: shape, bytes: block, checksum: checksum)
    }
}

/// The vectors of an index that is built, in a file that is mapped.
struct DiskRows: Sendable {
    struct Shape: Sendable {
        let dimensions: Int
        let metric: Metric

        /// From one row to the next. For the cosine the vector at unit length, and then as it was given.
        var stride: Int { metric == .cosine ? 2 * dimensions : dimensions }
        var rowBytes: Int { stride * MemoryLayout<Float>.stride }

        func write(_ vector: UnsafePointer<Float>, to row: UnsafeMutablePointer<Float>) {
            (row + stride - dimensions).update(from: vector, count: dimensions)
            if metric == .cosine { cordwood_f32_normalize(vector, dimensions, row) }
        }
    }

    let shape: Shape
    let bytes: MemoryBlock
    /// Of all of them, as they were written.
    let checksum: UInt32

    /// What is compared.
    var base: UnsafePointer<Float> {
        bytes.unsafeBytes.baseAddress!.assumingMemoryBound(to: Float.self)
    }

    /// The vector as it was given.
    func given(_ row: Int) -> UnsafePointer<Float> {
        base + (row + 1) * shape.stride - shape.dimensions
    }

    /// Throws unless all that was read of the map so far was what had been written: pages that cannot be
    /// had read as zeros from then on.
    func check() throws(VectorError) {
        guard indexChecksum(bytes.unsafeBytes) == checksum else {
            throw VectorError(.storage, "the file of vectors is not what was written to it")
        }
    }
}
