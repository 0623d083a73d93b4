internal import CCordwoodKernels

/// Builds the levels of a graph over rows of 8-bit codes, from the highest to the lowest, batch by
/// batch (ParlayANN, arXiv 2305.04359; the comment in `cordwood_graph.h` says why the result is the
/// same with any number of threads).
struct GraphConstruction {
    /// A batch is at most this part of the nodes that there are to be: those of one batch do not see
    /// each other, and what they miss stays small.
    private static let batchFraction = 50
    /// Bounds the memory of proposals.
    private static let maximumBatch = 20_000
    /// Nodes that a thread takes at a time.
    private static let proposeChunk = 16
    private static let acceptChunk = 512
    static let beam = 4

    let graph: Graph
    let rows: cordwood_graph_rows
    let configuration: HNSWConfiguration
    let threads: Int
    /// Told how many nodes of the lowest level are in, now and then.
    let progress: @Sendable (Int) -> Void
    /// More than 1 keeps longer edges as well, with which walks take fewer steps (Vamana: Subramanya et
    /// al., NeurIPS 2019). Compared with distances as they are, which for L2 are squares.
    var alpha: Float = 1
    /// Asked before each batch; the graph is of no use once it says so.
    var isCancelled: @Sendable () -> Bool = { false }

    /// Builds the levels above the lowest, and of that the nodes up to `end`; then calls `between`, and
    /// adds the others.
    func run(through end: Int, between: () -> Void) {
        let scratches = (0..<threads).map { _ in
            BuildScratch(
                nodes: graph.shape.counts[0], degree: graph.shape.degrees[0],
                quantizer: rows.quantizer, ef: configuration.efConstruction)
        }
        for level in stride(from: graph.levelCount - 1, to: 0, by: -1) {
            build(level, 1..<Int(graph.level(level).count), scratches)
        }
        build(0, 1..<end, scratches)
        between()
        build(0, end..<Int(graph.level(0).count), scratches)
    }

    /// Adds nodes to a level that has those before them.
    private func build(_ level: Int, _ nodes: Range<Int>, _ scratches: [BuildScratch]) {
        let count = Int(graph.level(level).count)
        let neighbors = min(configuration.neighbors, Int(graph.level(level).degree))
        let maximumBatch = min(max(count / Self.batchFraction, 1), Self.maximumBatch)
        let batch = BuildBatch(
            capacity: min(maximumBatch, count) * neighbors, nodes: count)
        var kernel = cordwood_graph_build()
        kernel.level = UInt32(level)
        kernel.neighbors = UInt32(neighbors)
        kernel.ef = UInt32(configuration.efConstruction)
        kernel.beam = UInt32(Self.beam)
        kernel.alpha = alpha
        kernel.targets = batch.targets
        kernel.proposals = batch.proposals
        kernel.grouped = batch.grouped
        kernel.starts = batch.starts
        var first = nodes.lowerBound
        while first < nodes.upperBound, !isCancelled() {
            let last = min(first + min(first, maximumBatch), nodes.upperBound)
            kernel.first = UInt32(first)
            kernel.last = UInt32(last)
            step(kernel, first, last, scratches)
            first = last
            if level == 0 { progress(first) }
        }
    }

    /// Adds the nodes from `first` up to `last`.
    private func step(
        _ build: cordwood_graph_build, _ first: Int, _ last: Int, _ scratches: [BuildScratch]
    ) {
        let work = BatchWork(build, graph.kernel, rows)
        ParallelWork.run(first..<last, chunk: Self.proposeChunk, threads: threads) {
            thread, chunk in
            cordwood_graph_propose(
                work.build, UInt32(chunk.lowerBound), UInt32(chunk.upperBound),
                &scratches[thread].kernel)
        }
        cordwood_graph_group(work.build)
        ParallelWork.run(0..<first, chunk: Self.acceptChunk, threads: threads) { thread, chunk in
            cordwood_graph_accept(
                work.build, UInt32(chunk.lowerBound), UInt32(chunk.upperBound),
                &scratches[thread].kernel)
        }
    }
}

/// A batch's description, at an address that all threads know.
private final class BatchWork: @unchecked Sendable {
    // Sendable although it holds unsafe memory: threads write to different parts of what it leads to.

    let build: UnsafeMutablePointer<cordwood_graph_build>
    private let graph: UnsafeMutablePointer<cordwood_graph>
    private let rows: UnsafeMutablePointer<cordwood_graph_rows>

    init(_ build: cordwood_graph_build, _ graph: cordwood_graph, _ rows: cordwood_graph_rows) {
        self.build = .allocate(capacity: 1)
        self.graph = .allocate(capacity: 1)
        self.rows = .allocate(capacity: 1)
        self.graph.initialize(to: graph)
        self.rows.initialize(to: rows)
        self.build.initialize(to: build)
        self.build.pointee.graph = UnsafePointer(self.graph)
        self.build.pointee.rows = UnsafePointer(self.rows)
    }

    deinit {
        build.deallocate()
        graph.deallocate()
        rows.deallocate()
    }
}

/// The proposals of one batch.
private final class BuildBatch {
    let targets: UnsafeMutablePointer<UInt32>
    let proposals: UnsafeMutablePointer<cordwood_proposal>
    let grouped: UnsafeMutablePointer<cordwood_proposal>
    let starts: UnsafeMutablePointer<UInt32>

    init(capacity: Int, nodes: Int) {
        targets = .allocate(capacity: capacity)
        proposals = .allocate(capacity: capacity)
        grouped = .allocate(capacity: capacity)
        starts = .allocate(capacity: nodes + 1)
    }

    deinit {
        targets.deallocate()
        proposals.deallocate()
        grouped.deallocate()
        starts.deallocate()
    }
}

/// The memory of one thread that builds.
final class BuildScratch: @unchecked Sendable {
    // Sendable although it holds unsafe memory: one thread at a time has it.

    var kernel = cordwood_graph_build_scratch()
    private let walk: WalkScratch
    private let components: UnsafeMutableRawPointer

    init(nodes: Int, degree: Int, quantizer: UnsafePointer<cordwood_quantizer>, ef: Int) {
        walk = WalkScratch(nodes: nodes, degree: degree, ef: max(ef, degree))
        kernel.walk = walk.kernel
        let queryBytes = cordwood_code_query_bytes(quantizer)
        components = .allocate(byteCount: (degree + 2) * queryBytes, alignment: 64)
        kernel.components = components.bindMemory(
            to: Int8.self, capacity: (degree + 2) * queryBytes)
        kernel.queries = .allocate(capacity: degree + 2)
    }

    deinit {
        components.deallocate()
        kernel.queries.deallocate()
    }
}
