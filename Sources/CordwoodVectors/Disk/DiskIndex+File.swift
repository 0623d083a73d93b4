internal import CCordwoodKernels
public import CordwoodStorage

extension DiskIndex {
    private static var chunkBytes: Int { 8 << 20 }

    /// Copies the index's file: the index itself lives in the file that it was opened from, and is not
    /// changed. Returns when the copy and its name are durable. Throws ``VectorError/Code/storage``: a
    /// file that had the name is then still there, or the new one is.
    public func save<S: Storage>(to path: StoragePath, on storage: S) async throws(VectorError) {
        try await DiskFileWriter(path: path, storage: storage).copy(file)
    }

    /// Opens the file of an index. All but its pages is checked at once: every byte against its
    /// checksum, every number against what it counts, every edge in memory against the nodes that there
    /// are. Pages are checked when they are read. O(bytes in memory), on the storage's threads.
    ///
    /// Throws ``VectorError/Code/memoryCap`` when the index and one thread's searches would take more
    /// than `memoryCapBytes`, ``VectorError/Code/storage`` when the file cannot be read,
    /// ``VectorError/Code/unknownFormat`` when it is of another kind or version, and
    /// ``VectorError/Code/damaged`` when its bytes are not those that were written.
    public static func open<S: Storage>(
        _ path: StoragePath, on storage: S, memoryCapBytes: Int = .max
    ) async throws(VectorError) -> DiskIndex {
        do throws(VectorError) {
            let file = try await VectorError.of("opening") { () throws(StorageError) in
                try await storage.open(path, .read)
            }
            do throws(VectorError) {
                return try await open(file, on: storage, memoryCapBytes)
            } catch {
                await file.close()
                throw error
            }
        } catch { throw VectorError(error.code, "\(path): \(error.detail)") }
    }

    private static func open<S: Storage>(
        _ file: S.File, on storage: S, _ memoryCapBytes: Int
    ) async throws(VectorError) -> DiskIndex {
        let (fileBytes, page) = try await VectorError.of("reading") { () throws(StorageError) in
            (try await file.size(), try await file.read(at: 0, count: IndexHeader.pageBytes))
        }
        let header = try IndexHeader(checking: page.unsafeBytes, fileBytes: fileBytes, .disk)
        let sections = DiskSections(header: header, file: file, storage: storage)
        let description = try DiskDescription(try await sections.read("meta", atMost: 4096))
        let parts = try await sections.parts(of: description, fileBytes: fileBytes)
        let calibration =
            parts == nil
            ? RecallCalibration(points: [])
            : try RecallCalibration(checking: try await sections.read("reca", atMost: 4096))
        let index = DiskIndex(
            dimensions: description.dimensions, metric: description.metric,
            configuration: description.configuration, parts: parts, calibration: calibration,
            file: file)
        let needed = index.bytesAllocated + index.searchBytes
        guard needed <= memoryCapBytes else {
            throw VectorError(
                .memoryCap, "the index takes \(needed) bytes, more than \(memoryCapBytes)")
        }
        return index
    }
}

/// The sections of a file, read and checked one by one.
private struct DiskSections<S: Storage> {
    private static var chunkBytes: Int { 8 << 20 }

    let header: IndexHeader
    let file: S.File
    let storage: S

    func parts(
        of description: DiskDescription, fileBytes: Int
    ) async throws(VectorError) -> DiskParts? {
        guard description.count > 0 else { return nil }
        let layout = description.layout
        let pages = try entry("page", byteCount: layout.byteCount)
        guard pages.isCheckedByPage else {
            throw VectorError(.damaged, "section page: its pages have no checksums")
        }
        let dimensions = description.dimensions
        let encoded = try await read(
            "prod", byteCount: ProductCodes.byteCount(dimensions: dimensions))
        guard
            let products = ProductCodes(
                parts: description.parts, metric: description.metric, dimensions: dimensions,
                encoded: encoded)
        else { throw VectorError(.damaged, "section prod: a number that is not finite") }
        let codes = try await read("code", byteCount: layout.nodeCount * description.parts)
        let navigation = try await navigation(description)
        let ids = try entry("ids ", byteCount: 8 * description.count)
        try await check(ids)
        var starts: IndexHeader.Entry?
        if layout.nodeCount < description.count {
            starts = try entry("strt", byteCount: 4 * (layout.nodeCount + 1))
            try await check(starts!)
        }
        let (map, reads) = try await VectorError.of("mapping") { () throws(StorageError) in
            (try await file.map(count: fileBytes), try await file.randomReads())
        }
        func slice(_ entry: IndexHeader.Entry) -> MemorySlice {
            MemorySlice(map, entry.position..<entry.position + entry.byteCount)
        }
        let mappedStarts = starts.map(slice)
        if let mappedStarts {
            let (nodes, count) = (layout.nodeCount, description.count)
            try await storage.offload { () throws(VectorError) in
                try Self.check(mappedStarts, nodes: nodes, count: count)
            }
        }
        return DiskParts(
            layout: layout, products: products, codes: codes, navigation: navigation,
            ids: slice(ids), starts: mappedStarts, reads: reads, pagePosition: pages.position)
    }

    private func navigation(
        _ description: DiskDescription
    ) async throws(VectorError) -> DiskNavigation {
        let shape = description.navigationShape
        guard
            let quantizer = ScalarQuantizer(
                bits: 8, metric: description.metric, dimensions: description.dimensions,
                encoded: try await read("navq", byteCount: 8 * description.dimensions))
        else { throw VectorError(.damaged, "section navq: a number that is not finite") }
        let graph = Graph(shape, edges: try await read("nave", byteCount: shape.byteCount))
        guard graph.isSound else {
            throw VectorError(.damaged, "the navigation graph has an edge that leads nowhere")
        }
        let rows = NodeRows(
            codes: try await read("navr", byteCount: shape.counts[0] * quantizer.stride),
            of: quantizer)
        let nodes = try await read("navn", byteCount: 4 * shape.counts[0])
        for place in 0..<shape.counts[0] {
            let node = nodes.unsafeBytes.number(4 * place, UInt32.self)
            guard Int(node) < description.nodeCount else {
                throw VectorError(
                    .damaged,
                    "section navn: node \(node) of \(description.nodeCount)")
            }
        }
        return DiskNavigation(graph: graph, rows: rows, nodes: nodes)
    }

    private func entry(_ tag: String, byteCount: Int) throws(VectorError) -> IndexHeader.Entry {
        guard let entry = header[tag], entry.byteCount == byteCount else {
            throw VectorError(
                .damaged,
                "section \(tag): expected \(byteCount) bytes, found \(header[tag]?.byteCount ?? 0)")
        }
        return entry
    }

    // MARK: Reading

    func read(_ tag: String, atMost limit: Int) async throws(VectorError) -> MemorySlice {
        guard let entry = header[tag], entry.byteCount <= limit else {
            throw VectorError(
                .damaged,
                "section \(tag): expected at most \(limit) bytes, found "
                    + "\(header[tag]?.byteCount ?? 0)")
        }
        return try await read(entry)
    }

    private func read(_ tag: String, byteCount: Int) async throws(VectorError) -> MemorySlice {
        try await read(try entry(tag, byteCount: byteCount))
    }

    private func read(_ entry: IndexHeader.Entry) async throws(VectorError) -> MemorySlice {
        let memory = try MappedMemory(byteCount: entry.byteCount)
        try await check(entry) { position, chunk in
            (memory.base + position).copyMemory(from: chunk.baseAddress!, byteCount: chunk.count)
        }
        return MemorySlice(memory.block(count: entry.byteCount))
    }

    /// Holds a section against its checksum, piece by piece.
    private func check(
        _ entry: IndexHeader.Entry, _ body: (Int, UnsafeRawBufferPointer) -> Void = { _, _ in }
    ) async throws(VectorError) {
        var sum: UInt32 = 0
        for position in stride(from: 0, to: entry.byteCount, by: Self.chunkBytes) {
            let count = min(Self.chunkBytes, entry.byteCount - position)
            let chunk = try await VectorError.of("reading") { () throws(StorageError) in
                try await file.read(at: entry.position + position, count: count)
            }
            sum = await storage.offload { [sum] in indexChecksum(chunk.unsafeBytes, after: sum) }
            guard chunk.count == count else { break }
            body(position, chunk.unsafeBytes)
        }
        guard sum == entry.checksum, !entry.isCheckedByPage else {
            throw VectorError(
                .damaged, "section \(entry.tag) does not match its checksum")
        }
    }

    /// Throws unless every node has a vector, and all vectors have a node.
    private static func check(
        _ starts: MemorySlice, nodes: Int, count: Int
    ) throws(VectorError) {
        let bytes = starts.unsafeBytes
        var last = bytes.number(0, UInt32.self)
        var isRising = last == 0
        for node in 1...nodes {
            let next = bytes.number(4 * node, UInt32.self)
            isRising = isRising && next > last
            last = next
        }
        guard isRising, Int(last) == count else {
            throw VectorError(.damaged, "section strt: a node without a vector")
        }
    }
}
