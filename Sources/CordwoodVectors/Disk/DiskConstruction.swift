internal import CCordwoodKernels
internal import CordwoodStorage

/// Makes what a ``DiskIndex`` consists of from vectors in a file: a graph over codes of 8 bits in
/// memory, an order of its nodes in pages, and product codes as long as the cap of memory allows.
struct DiskConstruction: Sendable {
    /// One node in so many is in the navigation graph, or in twice, four times, … as many where memory
    /// is scarce.
    private static let nodesPerNavigated = 64
    /// The most of the cap that the navigation graph takes.
    private static let navigationShare = 10
    /// More parts than one to so many dimensions tell hardly more.
    private static let dimensionsPerPart = 2
    /// Fewer tell too little to steer by.
    private static let mostDimensionsPerPart = 64
    /// Long edges are kept that a graph in memory does without, since each step is a read.
    private static let alpha: Float = 1.2
    /// Bytes a vector while it is built, beside its codes and edges: tables of equal vectors and of
    /// orders.
    private static let orderBytes = 72
    private static let chunk = 2048

    let rows: DiskRows
    let ids: [UInt64]
    let description: DiskDescription
    let threads: Int
    let progress: @Sendable (Int) -> Void
    let isCancelled: @Sendable () -> Bool

    private var configuration: DiskConfiguration { description.configuration }
    private var dimensions: Int { description.dimensions }

    /// O(n log n) distances. Throws ``VectorError/Code/memoryCap`` or ``VectorError/Code/outOfMemory``.
    func run() throws(VectorError) -> DiskBuild {
        try checkBuildMemory()
        let representatives = EqualVectors.representatives(
            rows.base, stride: rows.shape.stride, dimensions: dimensions, count: ids.count)
        let order = NodeOrder(
            representatives: representatives, neighbors: nodesPerNavigated(),
            seed: configuration.seed)
        let rowOfNode = order.starts.dropLast().map { order.vectors[Int($0)] }
        let codes = try encoded(rowOfNode)
        let graph = try graph(
            GraphShape(counts: order.levelCounts, degree: configuration.degree), codes,
            alpha: description.metric == .innerProduct ? 1 : Self.alpha)
        let navigation = try navigation(order, codes)
        let layout = DiskLayout(
            dimensions: dimensions, degree: configuration.degree, element: description.element,
            nodeCount: order.nodeCount)
        let places = PageOrder(
            graph.level(0).edges, degree: configuration.degree, count: order.nodeCount,
            perBlock: layout.nodesPerBlock)
        let parts = try productParts(layout, navigation)
        return DiskBuild(
            description: description, layout: layout, rows: rows, ids: ids, order: order,
            places: places.nodes, graph: graph, navigation: navigation,
            products: try products(parts, places.nodes.map { rowOfNode[Int($0)] }))
    }

    private func checkBuildMemory() throws(VectorError) {
        let perVector =
            dimensions + 20 + 4 * configuration.degree + Self.orderBytes
            + dimensions / Self.dimensionsPerPart
        let (bytes, overflow) = ids.count.multipliedReportingOverflow(by: perVector)
        guard !overflow, bytes <= configuration.buildMemoryCapBytes else {
            throw VectorError(
                .memoryCap,
                "building \(ids.count) vectors of \(dimensions) dimensions takes \(bytes) bytes, "
                    + "more than \(configuration.buildMemoryCapBytes)")
        }
    }

    // MARK: Graphs

    private func encoded(_ rowOfNode: [UInt32]) throws(VectorError) -> NodeRows {
        let stride = rows.shape.stride
        let quantizer = ScalarQuantizer(
            bits: 8, metric: description.metric, dimensions: dimensions, rows: rows.base,
            stride: stride, count: ids.count)
        let byteCount = quantizer.stride * rowOfNode.count
        let memory = try MappedMemory(byteCount: byteCount)
        memory.preferHugePages()
        ParallelWork.run(rowOfNode.indices, chunk: Self.chunk, threads: threads) {
            [rows] _, nodes in
            rowOfNode.withUnsafeBufferPointer { order in
                quantizer.encode(
                    rows.base, stride: stride, order: order.baseAddress! + nodes.lowerBound,
                    count: nodes.count,
                    into: memory.bound(
                        to: UInt8.self, capacity: nodes.count * quantizer.stride,
                        at: nodes.lowerBound * quantizer.stride))
            }
        }
        return NodeRows(
            codes: MemorySlice(memory.block(count: byteCount)), of: quantizer)
    }

    private func graph(
        _ shape: GraphShape, _ codes: NodeRows, alpha: Float = 1
    ) throws(VectorError) -> Graph {
        let graph = try Graph(shape)
        let count = shape.counts[0]
        GraphConstruction(
            graph: graph, rows: codes.kernel,
            configuration: configuration.graph(degree: shape.degrees[0]), threads: threads,
            progress: progress, alpha: alpha, isCancelled: isCancelled
        ).run(through: count) {}
        if isCancelled() { throw VectorError(.cancelled, "the building of an index on disk") }
        var repair = GraphRepair(graph, rows: codes.kernel, ef: configuration.efConstruction)
        _ = repair.run()
        return graph
    }

    private func nodesPerNavigated() -> Int {
        let shape = DiskNavigation.shape(counts: [1], degree: configuration.degree)
        let perNode = dimensions + 20 + 2 * 4 * shape.degrees[0]
        var nodes = Self.nodesPerNavigated
        while ids.count / nodes * perNode > configuration.memoryCapBytes / Self.navigationShare {
            nodes *= 2
        }
        return nodes
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
        return (
            try graph(
                DiskNavigation.shape(counts: counts, degree: configuration.degree), rows), rows
        )
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

    private func products(
        _ parts: Int, _ rowOfPlace: [UInt32]
    ) throws(VectorError) -> (ProductCodes, MemorySlice) {
        let products = ProductCodes(
            parts: parts, metric: description.metric, dimensions: dimensions, rows: rows.base,
            stride: rows.shape.stride, order: rowOfPlace, threads: threads)
        let memory = try MappedMemory(byteCount: parts * rowOfPlace.count)
        ParallelWork.run(rowOfPlace.indices, chunk: Self.chunk, threads: threads) {
            [rows] _, range in
            rowOfPlace.withUnsafeBufferPointer { order in
                products.encode(
                    rows.base, stride: rows.shape.stride, order: order.baseAddress!, range,
                    into: memory.bound(to: UInt8.self, capacity: parts * order.count))
            }
        }
        return (products, MemorySlice(memory.block(count: parts * rowOfPlace.count)))
    }
}
