internal import CordwoodStorage

/// Makes what a ``DiskIndex`` consists of in memory that does not hold its graph: graphs of overlapping
/// pieces, one after the other, which are merged on the disk (DiskANN: Subramanya et al., NeurIPS 2019,
/// section 3.3).
///
/// Codes, edges of pieces, merged edges and product codes go through a ``PieceFile``, of which what is
/// read here and there is mapped.
struct PiecewiseConstruction<S: Storage> {
    private let base: DiskConstruction
    private let storage: S
    private var file: PieceFile<S>

    /// Begins an empty file of pieces beside the index at `path`.
    init(
        _ base: DiskConstruction, at path: StoragePath, on storage: S
    ) async throws(VectorError) {
        self.base = base
        self.storage = storage
        file = try await PieceFile(beside: path, on: storage)
    }

    func close() async { await file.close() }

    /// Twice as many distances as for a graph that is built whole. Throws ``VectorError/Code/storage``,
    /// and as ``DiskConstruction/runWhole()``.
    mutating func run() async throws(VectorError) -> DiskBuild {
        let base = base
        let order = await storage.offloadLong { base.order() }
        let quantizer = await storage.offload { base.quantizer() }
        let codes = try await writeCodes(order, quantizer)
        let rows = NodeRows(codes: codes.bytes, of: quantizer)
        let graph = try await mergedGraph(order, rows)
        let edges = graph.section
        let (changed, prepared) = try await storage.offloadLong { () throws(VectorError) in
            try edges.check()
            guard graph.graph.isSound else {
                throw VectorError(.storage, "the merged graph has an edge that leads nowhere")
            }
            var repair = GraphRepair(
                graph.graph, rows: rows.kernel, ef: base.configuration.efConstruction)
            let changed = repair.missing()
            try base.checkCancellation()
            return (changed, try base.prepare(order, rows, graph.graph))
        }
        let products = try await writeProducts(prepared)
        return DiskBuild(
            prepared, description: base.description, rows: base.rows, ids: base.ids,
            graph: DiskGraph(
                graph: graph.graph, changed: changed, sections: [codes, edges, products]),
            codes: products.bytes)
    }

    // MARK: Codes

    private mutating func writeCodes(
        _ order: NodeOrder, _ quantizer: ScalarQuantizer
    ) async throws(VectorError) -> MappedSection {
        let base = base
        return try await write(order.nodeCount, bytesPerNode: quantizer.stride) { nodes, codes in
            base.encode(nodes, of: order, by: quantizer, into: codes)
        }
    }

    private mutating func writeProducts(
        _ prepared: DiskPrepared
    ) async throws(VectorError) -> MappedSection {
        let base = base
        return try await write(prepared.places.nodeCount, bytesPerNode: prepared.products.parts) {
            nodes, codes in
            base.encode(nodes, of: prepared.places, by: prepared.products, into: codes)
        }
    }

    /// Writes a section that `fill` makes in chunks.
    private mutating func write(
        _ nodeCount: Int, bytesPerNode: Int,
        _ fill: @escaping @Sendable (Range<Int>, UnsafeMutableRawPointer) -> Void
    ) async throws(VectorError) -> MappedSection {
        var section = file.beginSection()
        let chunk = max(1, base.plan.chunkBytes / bytesPerNode)
        for first in stride(from: 0, to: nodeCount, by: chunk) {
            try base.checkCancellation()
            let nodes = first..<min(first + chunk, nodeCount)
            let block = try await storage.offload { () throws(VectorError) in
                let block = try MemoryBlock.mapped(count: nodes.count * bytesPerNode)
                fill(nodes, block.unsafeMutableBytes.baseAddress!)
                return block
            }
            try await file.append(MemorySlice(block), to: &section)
        }
        return try await file.map(section)
    }

    // MARK: Pieces

    private mutating func mergedGraph(
        _ order: NodeOrder, _ rows: NodeRows
    ) async throws(VectorError) -> (graph: Graph, section: MappedSection) {
        let base = base
        let partition = try await storage.offloadLong { () throws(VectorError) in
            let count = base.plan.pieceCount(nodes: order.nodeCount)
            return try PieceDivision(
                rows: base.rows, order: order, pieceCount: count,
                capacity: base.plan.pieceCapacity, sampleSize: base.plan.sampleSize(pieces: count),
                threads: base.threads, isCancelled: base.isCancelled
            ).run()
        }
        var pieces: [PieceSection] = []
        var built = 0
        let perNode = partition.pieceCount > 1 ? PiecePartition.piecesPerNode : 1
        for number in 0..<partition.pieceCount {
            let before = built
            let (edges, count) = try await storage.offloadLong { () throws(VectorError) in
                let piece = GraphPiece(partition.members(of: number), order)
                let edges = try piece.edges(base, rows) { nodes in
                    base.progress((before + nodes) / perNode)
                }
                return (edges, piece.members.count)
            }
            built += count
            var section = file.beginSection()
            if count > 0 { try await file.append(edges, to: &section) }
            pieces.append(section)
        }
        return try await merge(partition, pieces, rows, nodeCount: order.nodeCount)
    }

    private mutating func merge(
        _ partition: PiecePartition, _ pieces: [PieceSection], _ rows: NodeRows, nodeCount: Int
    ) async throws(VectorError) -> (graph: Graph, section: MappedSection) {
        let degree = base.configuration.degree
        var readings = pieces.map { PieceReading($0) }
        var section = file.beginSection()
        let chunk = base.plan.mergedNodes
        for first in stride(from: 0, to: nodeCount, by: chunk) {
            try base.checkCancellation()
            let nodes = first..<min(first + chunk, nodeCount)
            let lists = try await lists(of: nodes, partition, &readings)
            let merged = PieceMerge(
                rows: rows, nodeCount: nodeCount, degree: degree, alpha: base.alpha, nodes: nodes)
            let threads = base.threads
            let edges = try await storage.offloadLong { () throws(VectorError) in
                try merged.edges(of: lists, threads: threads)
            }
            try await file.append(edges, to: &section)
        }
        // What a graph's level takes is whole cache lines.
        let shape = GraphShape(counts: [nodeCount], degree: degree)
        let padding = MemoryBlock(count: shape.byteCount - section.byteCount)
        padding.unsafeMutableBytes.initializeMemory(as: UInt8.self, repeating: 0)
        if padding.count > 0 { try await file.append(MemorySlice(padding), to: &section) }
        let mapped = try await file.map(section)
        return (Graph(shape, edges: mapped.bytes), mapped)
    }

    /// Two lists for each node, of the pieces that it is in.
    private func lists(
        of nodes: Range<Int>, _ partition: PiecePartition, _ readings: inout [PieceReading]
    ) async throws(VectorError) -> MemoryBlock {
        let listBytes = 4 * base.configuration.degree
        let places =
            PiecePartition.piecesPerNode * nodes.lowerBound..<PiecePartition.piecesPerNode
            * nodes.upperBound
        let lists = try MemoryBlock.mapped(count: places.count * listBytes)
        // A piece that there is not has no edges.
        lists.unsafeMutableBytes.initializeMemory(as: UInt8.self, repeating: 0xff)
        var counts = [Int](repeating: 0, count: readings.count)
        for piece in partition.pieces[places] where piece != PiecePartition.none {
            counts[Int(piece)] += 1
        }
        for (piece, count) in counts.enumerated() where count > 0 {
            let bytes = try await file.read(count * listBytes, from: &readings[piece])
            withExtendedLifetime(bytes) {
                var lists = lists.unsafeMutableBytes
                var read = bytes.unsafeBytes
                for number in partition.pieces[places] {
                    if Int(number) == piece {
                        lists.copyMemory(from: .init(rebasing: read.prefix(listBytes)))
                        read = .init(rebasing: read.dropFirst(listBytes))
                    }
                    lists = .init(rebasing: lists.dropFirst(listBytes))
                }
            }
        }
        return lists
    }
}
