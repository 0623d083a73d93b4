internal import CCordwoodKernels
internal import CordwoodStorage

/// Makes what a ``DiskIndex`` consists of from vectors in a file: a graph over codes of 8 bits, an order
/// of its nodes in pages, and product codes as long as the cap of memory allows.
///
/// Here is what both ways of building share, and the one in which the graph is built whole in memory;
/// ``PiecewiseConstruction`` is the other.
struct DiskConstruction: Sendable {
    /// More parts than one to so many dimensions tell hardly more.
    static let dimensionsPerPart = 2
    /// Fewer tell too little to steer by.
    private static let mostDimensionsPerPart = 64
    /// Long edges are kept that a graph in memory does without, since each step is a read.
    private static let alpha: Float = 1.2
    private static let chunk = 2048

    let rows: DiskRows
    let ids: [UInt64]
    let description: DiskDescription
    let plan: DiskBuildPlan
    let threads: Int
    let progress: @Sendable (Int) -> Void
    let isCancelled: @Sendable () -> Bool

    var configuration: DiskConfiguration { description.configuration }
    var dimensions: Int { description.dimensions }
    var alpha: Float { description.metric == .innerProduct ? 1 : Self.alpha }

    /// The whole graph at once. O(n log n) distances. Throws ``VectorError/Code/memoryCap``,
    /// ``VectorError/Code/cancelled`` or ``VectorError/Code/outOfMemory``.
    func runWhole() throws(VectorError) -> DiskBuild {
        let order = order()
        let quantizer = quantizer()
        let byteCount = quantizer.stride * order.nodeCount
        let memory = try MappedMemory(byteCount: byteCount)
        memory.preferHugePages()
        encode(0..<order.nodeCount, of: order, by: quantizer, into: memory.base)
        let codes = NodeRows(codes: MemorySlice(memory.block(count: byteCount)), of: quantizer)
        let graph = try Graph(
            GraphShape(counts: order.levelCounts, degree: configuration.degree))
        try connect(graph, codes.kernel, alpha: alpha, progress: progress)
        var repair = GraphRepair(graph, rows: codes.kernel, ef: configuration.efConstruction)
        _ = repair.run()
        let prepared = try prepare(order, codes, graph)
        let (parts, places) = (prepared.products.parts, prepared.places)
        let products = try MappedMemory(byteCount: parts * order.nodeCount)
        encode(0..<order.nodeCount, of: places, by: prepared.products, into: products.base)
        return DiskBuild(
            prepared, description: description, rows: rows, ids: ids,
            graph: DiskGraph(graph: graph),
            codes: MemorySlice(products.block(count: parts * order.nodeCount)))
    }

    // MARK: Nodes

    func order() -> NodeOrder {
        NodeOrder(
            representatives: EqualVectors.representatives(
                rows.base, stride: rows.shape.stride, dimensions: dimensions, count: ids.count),
            neighbors: plan.nodesPerNavigated, seed: configuration.seed)
    }

    func quantizer() -> ScalarQuantizer {
        ScalarQuantizer(
            bits: 8, metric: description.metric, dimensions: dimensions, rows: rows.base,
            stride: rows.shape.stride, count: ids.count)
    }

    /// Writes the codes of some nodes, one behind the other.
    func encode(
        _ nodes: Range<Int>, of order: NodeOrder, by quantizer: ScalarQuantizer,
        into codes: UnsafeMutableRawPointer
    ) {
        let (rows, output) = (rows, Output(codes))
        ParallelWork.run(nodes, chunk: Self.chunk, threads: threads) { _, chunk in
            let vectors = chunk.map { UInt32(order.vector(of: $0)) }
            quantizer.encode(
                rows.base, stride: rows.shape.stride, order: vectors, count: vectors.count,
                into: output.bytes + (chunk.lowerBound - nodes.lowerBound) * quantizer.stride)
        }
    }

    /// Writes the product codes of some nodes of the pages, one behind the other.
    func encode(
        _ nodes: Range<Int>, of places: DiskPlaces, by products: ProductCodes,
        into codes: UnsafeMutableRawPointer
    ) {
        let (rows, output) = (rows, Output(codes))
        ParallelWork.run(nodes, chunk: Self.chunk, threads: threads) { _, chunk in
            let vectors = chunk.map { UInt32(places.vector(of: $0)) }
            products.encode(
                rows.base, stride: rows.shape.stride, order: vectors, 0..<chunk.count,
                into: output.bytes + (chunk.lowerBound - nodes.lowerBound) * products.parts)
        }
    }

    private struct Output: @unchecked Sendable {
        // Each thread writes the codes of its own nodes.
        let bytes: UnsafeMutablePointer<UInt8>

        init(_ start: UnsafeMutableRawPointer) {
            bytes = start.assumingMemoryBound(to: UInt8.self)
        }
    }

    // MARK: Graphs

    /// Gives a graph its edges. Throws ``VectorError/Code/cancelled``.
    func connect(
        _ graph: Graph, _ codes: cordwood_graph_rows, alpha: Float = 1,
        progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws(VectorError) {
        GraphConstruction(
            graph: graph, rows: codes,
            configuration: configuration.graph(degree: graph.shape.degrees[0]),
            threads: threads, progress: progress, alpha: alpha, isCancelled: isCancelled
        ).run(through: graph.shape.counts[0]) {}
        try checkCancellation()
    }

    func checkCancellation() throws(VectorError) {
        if isCancelled() { throw VectorError(.cancelled, "the building of an index on disk") }
    }

    /// What follows from a graph that is whole. `codes` are those of its nodes.
    func prepare(
        _ order: NodeOrder, _ codes: NodeRows, _ graph: Graph
    ) throws(VectorError) -> DiskPrepared {
        let navigation = try navigation(order, codes)
        let layout = DiskLayout(
            dimensions: dimensions, degree: configuration.degree, element: description.element,
            nodeCount: order.nodeCount)
        let nodes = PageOrder(
            graph.level(0).edges, degree: configuration.degree, count: order.nodeCount,
            perBlock: layout.nodesPerBlock
        ).nodes
        try checkCancellation()
        let places = DiskPlaces(nodes, of: order)
        let products = ProductCodes(
            parts: try productParts(layout, navigation), metric: description.metric,
            dimensions: dimensions, rows: rows.base, stride: rows.shape.stride,
            sample: places.sample(plan.productSample), threads: threads)
        return DiskPrepared(
            navigation: navigation, layout: layout, places: places, products: products)
    }

    /// Over the nodes of the levels above the lowest.
    private func navigation(
        _ order: NodeOrder, _ codes: NodeRows
    ) throws(VectorError) -> (graph: Graph, rows: NodeRows) {
        let counts = order.levelCounts.count > 1 ? Array(order.levelCounts.dropFirst()) : [1]
        let quantizer = codes.quantizer!
        let byteCount = counts[0] * quantizer.stride
        let copy = MemoryBlock(count: byteCount)
        copy.unsafeMutableBytes.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: codes.bytes.unsafeBytes[..<byteCount]))
        let rows = NodeRows(codes: MemorySlice(copy), of: quantizer)
        let graph = try Graph(DiskNavigation.shape(counts: counts, degree: configuration.degree))
        try connect(graph, rows.kernel)
        var repair = GraphRepair(graph, rows: rows.kernel, ef: configuration.efConstruction)
        _ = repair.run()
        return (graph, rows)
    }

    // MARK: Product codes

    /// As many parts as the cap leaves room for.
    private func productParts(
        _ layout: DiskLayout, _ navigation: (graph: Graph, rows: NodeRows)
    ) throws(VectorError) -> Int {
        let fixed =
            ProductCodes.byteCount(dimensions: dimensions) + navigation.graph.bytes.count
            + navigation.rows.bytes.count + 4 * Int(navigation.graph.level(0).count)
        func bytes(_ parts: Int) -> Int {
            fixed + layout.nodeCount * parts + DiskSearcher.byteCount(layout, parts: parts)
        }
        let least = (dimensions + Self.mostDimensionsPerPart - 1) / Self.mostDimensionsPerPart
        let cap = configuration.memoryCapBytes
        guard bytes(least) <= cap else {
            throw VectorError(
                .memoryCap,
                "\(layout.nodeCount) vectors of \(dimensions) dimensions take at least "
                    + "\(bytes(least)) bytes, more than \(cap)")
        }
        var parts = max(least, (dimensions + 1) / Self.dimensionsPerPart)
        while bytes(parts) > cap { parts -= 1 }
        return parts
    }
}

/// What follows from a graph, before it is written.
struct DiskPrepared: Sendable {
    let navigation: (graph: Graph, rows: NodeRows)
    let layout: DiskLayout
    let places: DiskPlaces
    let products: ProductCodes
}
