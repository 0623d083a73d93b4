internal import CCordwoodKernels
public import CordwoodStorage

extension HNSWIndex {
    /// Writes the index to a file; `docs/file-formats.md` has its bytes. The same index gives the same
    /// bytes.
    ///
    /// Returns when the file and its name are durable. Throws ``VectorError/Code/storage``: a file that
    /// had the name is then still there, or the new one is.
    public func save<S: Storage>(
        to path: StoragePath, on storage: S
    ) async throws(VectorError) {
        var sections = [IndexFile.Section(tag: "meta", bytes: HNSWDescription(self).encoded)]
        if let parts {
            if let quantizer = parts.rows.quantizer {
                sections.append(.init(tag: "quan", bytes: quantizer.encoded))
            }
            sections.append(.init(tag: "edge", bytes: parts.graph.bytes))
            sections.append(.init(tag: "rows", bytes: parts.rows.bytes))
            if let exact = parts.exact { sections.append(.init(tag: "exac", bytes: exact.bytes)) }
            sections.append(.init(tag: "ids ", bytes: parts.ids))
            sections.append(.init(tag: "reca", bytes: calibration.encoded))
            if let starts = parts.starts { sections.append(.init(tag: "strt", bytes: starts)) }
        }
        try await IndexFile(kind: .hnsw, sections: sections).write(to: path, on: storage)
    }

    /// Opens the file of an index, and believes nothing of it before it is checked: every byte against
    /// its checksum, every number against what it counts, every edge against the nodes that there are.
    /// O(bytes), on the storage's threads.
    ///
    /// Throws ``VectorError/Code/storage`` when the file cannot be read,
    /// ``VectorError/Code/unknownFormat`` when it is of another kind or version, and
    /// ``VectorError/Code/damaged`` when its bytes are not those that were written.
    public static func open<S: Storage>(
        _ path: StoragePath, on storage: S, residency: IndexResidency = .memory
    ) async throws(VectorError) -> HNSWIndex {
        let file = try await IndexFile.open(path, .hnsw, on: storage, residency: residency)
        do throws(VectorError) {
            return try await storage.offload { () throws(VectorError) in
                try HNSWIndex(checking: file)
            }
        } catch { throw VectorError(error.code, "\(path): \(error.detail)") }
    }

    /// An index of the sections of a file whose checksums hold.
    convenience init(checking file: IndexFile) throws(VectorError) {
        guard let meta = file["meta"] else {
            throw VectorError(.damaged, "the section meta is missing")
        }
        let description = try HNSWDescription(meta)
        guard let shape = description.shape else {
            self.init(
                emptyOf: description.dimensions, metric: description.metric,
                configuration: description.configuration)
            return
        }
        let parts = try description.parts(of: file, shape)
        guard parts.graph.isSound else {
            throw VectorError(.damaged, "the graph has an edge that leads nowhere")
        }
        self.init(
            dimensions: description.dimensions, metric: description.metric,
            configuration: description.configuration, parts: parts,
            calibration: try RecallCalibration(checking: file["reca"]))
    }
}

/// The section `meta` of an index's file.
struct HNSWDescription {
    private static let headBytes = 48
    private static let maximumLevels = 32

    var dimensions: Int
    var metric: Metric
    var configuration: HNSWConfiguration
    var count: Int
    /// Nil when the index is empty.
    var shape: GraphShape?

    init(_ index: HNSWIndex) {
        dimensions = index.dimensions
        metric = index.metric
        configuration = index.configuration
        count = index.count
        shape = index.parts?.graph.shape
    }

    // MARK: Bytes

    var encoded: MemorySlice {
        let levels = shape?.counts ?? []
        var writer = ByteWriter(count: Self.headBytes + 4 * levels.count)
        writer.littleEndian(UInt32(dimensions))
        writer.littleEndian(metric.fileNumber)
        writer.littleEndian(configuration.quantization.fileNumber)
        writer.littleEndian(configuration.reranking.fileNumber)
        writer.littleEndian(UInt8(0))
        writer.littleEndian(UInt32(configuration.neighbors))
        writer.littleEndian(UInt32(configuration.efConstruction))
        writer.littleEndian(configuration.seed)
        writer.littleEndian(UInt64(count))
        writer.littleEndian(UInt32(levels.count))
        writer.zeros(Self.headBytes - writer.position)
        for count in levels { writer.littleEndian(UInt32(count)) }
        return MemorySlice(writer.block)
    }

    init(_ bytes: MemorySlice) throws(VectorError) {
        var reader = ByteReader(bytes.unsafeBytes)
        guard let dimensions = reader.littleEndian(UInt32.self),
            let metric = reader.littleEndian(UInt8.self).flatMap(Metric.init(fileNumber:)),
            let quantization = reader.littleEndian(UInt8.self).flatMap(
                Quantization.init(fileNumber:)),
            let reranking = reader.littleEndian(UInt8.self).flatMap(Reranking.init(fileNumber:)),
            reader.skip(1) != nil,
            let neighbors = reader.littleEndian(UInt32.self),
            let efConstruction = reader.littleEndian(UInt32.self),
            let seed = reader.littleEndian(UInt64.self),
            let count = reader.littleEndian(UInt64.self),
            let levels = reader.littleEndian(UInt32.self), levels <= Self.maximumLevels,
            reader.skip(Self.headBytes - reader.position) != nil,
            reader.remaining == 4 * Int(levels)
        else { throw VectorError(.damaged, "the section meta makes no sense") }
        self.dimensions = Int(dimensions)
        self.metric = metric
        configuration = HNSWConfiguration(
            neighbors: Int(neighbors), efConstruction: Int(efConstruction),
            quantization: quantization, reranking: reranking, seed: seed)
        do throws(VectorError) {
            try FlatIndex.validate(dimensions: self.dimensions)
            try configuration.validate()
        } catch { throw VectorError(.damaged, "section meta: \(error.detail)") }
        var counts: [Int] = []
        while let nodes = reader.littleEndian(UInt32.self) { counts.append(Int(nodes)) }
        guard count <= UInt64(HNSWIndex.maximumCount), (count == 0) == counts.isEmpty,
            counts.allSatisfy({ $0 > 0 && $0 <= Int(count) })
        else {
            throw VectorError(
                .damaged, "section meta: \(count) vectors and levels of \(counts) nodes")
        }
        self.count = Int(count)
        shape =
            counts.isEmpty
            ? nil : GraphShape(counts: counts, degree: 2 * configuration.neighbors)
    }

    // MARK: Sections

    /// The other sections, each as long as it has to be.
    func parts(of file: IndexFile, _ shape: GraphShape) throws(VectorError) -> HNSWParts {
        let nodes = shape.counts[0]
        let rows: NodeRows
        if configuration.quantization == .none {
            rows = NodeRows(
                floats: try file.section("rows", nodes * dimensions * 4), dimensions: dimensions)
        } else {
            guard
                let quantizer = ScalarQuantizer(
                    bits: configuration.quantization == .sq8 ? 8 : 4, metric: metric,
                    dimensions: dimensions, encoded: try file.section("quan", 8 * dimensions))
            else { throw VectorError(.damaged, "section quan: a number that is not finite") }
            rows = NodeRows(
                codes: try file.section("rows", nodes * quantizer.stride), of: quantizer)
        }
        let kept = configuration.keptBesideCodes
        let exact =
            kept == .none
            ? nil
            : ExactRows(
                bytes: try file.section("exac", nodes * kept.rowBytes(dimensions)), reranking: kept)
        let starts = nodes < count ? try file.section("strt", 4 * (nodes + 1)) : nil
        if let starts { try check(starts, nodes) }
        return HNSWParts(
            graph: Graph(shape, edges: try file.section("edge", shape.byteCount)), rows: rows,
            exact: exact, ids: try file.section("ids ", 8 * count), starts: starts)
    }

    /// Throws unless every node has a vector, and all vectors have a node.
    private func check(_ starts: MemorySlice, _ nodes: Int) throws(VectorError) {
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
