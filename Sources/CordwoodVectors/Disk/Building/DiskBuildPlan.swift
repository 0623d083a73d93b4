internal import CCordwoodKernels

/// How the building of an index keeps within its cap of memory: with the graph whole in memory where that
/// fits, and else in pieces.
///
/// What counts is what the building takes itself, with one thread; pages of its files that the system
/// has in memory are the system's, which takes them back when it needs to. Nothing here depends on the
/// number of threads, and so the index does not.
struct DiskBuildPlan: Sendable {
    /// One node in so many is in the navigation graph, or in twice, four times, … as many where memory
    /// is scarce.
    private static let mostNavigated = 64
    /// The most of the cap of searches that the navigation graph takes.
    private static let navigationShare = 10
    /// Bytes a vector of a whole graph beside codes and edges: tables of equal vectors and of orders.
    private static let wholeTableBytes = 72
    /// Bytes a vector that are there however small the pieces are: 8 of its id and up to 32 of tables,
    /// of equal vectors first and of nodes and their pages last.
    private static let tableBytes = 40
    /// Those of them that are there beside a piece: ids, the order of nodes, and which is in which piece.
    private static let pieceTableBytes = 20
    /// Fewer nodes are no piece.
    private static let leastPieceNodes = 128
    /// Fewer vectors train no product codes, where there are more.
    private static let leastProductSample = 256
    /// Vectors for each piece that show where they lie.
    private static let samplePerPiece = 256
    /// Of all places in pieces, so many are left empty for each that is taken: 1 in 4.
    private static let spareShare = 4
    private static let largestChunk = 4 << 20
    private static let chunkShare = 32
    private static let mergedNodes = 64...16_384

    let vectors: Int
    let dimensions: Int
    private(set) var configuration: DiskConfiguration

    /// Throws ``VectorError/Code/memoryCap`` with what it would take where the cap is too low.
    init(
        vectors: Int, dimensions: Int, configuration: DiskConfiguration
    ) throws(VectorError) {
        self.vectors = vectors
        self.dimensions = dimensions
        self.configuration = configuration
        guard !isPossible else { return }
        let cap = configuration.buildMemoryCapBytes
        var (tooLow, enough) = (cap, DiskConfiguration.memoryCapRange.upperBound)
        while enough - tooLow > 1 {
            self.configuration.buildMemoryCapBytes = tooLow + (enough - tooLow) / 2
            if isPossible {
                enough = self.configuration.buildMemoryCapBytes
            } else {
                tooLow = self.configuration.buildMemoryCapBytes
            }
        }
        throw VectorError(
            .memoryCap,
            "building \(vectors) vectors of \(dimensions) dimensions takes at least \(enough) bytes, "
                + "more than \(cap)")
    }

    private var cap: Int { configuration.buildMemoryCapBytes }

    /// Whether the graph is built in one, in memory.
    var isWhole: Bool {
        let perVector =
            nodeBytes + Self.wholeTableBytes + dimensions / DiskConstruction.dimensionsPerPart
        let sample = min(vectors, ProductCodes.sampleRows) * productSampleBytes
        return vectors * perVector + sample + fixedBytes <= cap
    }

    private var isPossible: Bool {
        if isWhole { return true }
        let pieces = pieceCount(nodes: vectors)
        return fixedBytes + vectors * Self.tableBytes <= cap
            && pieceCapacity >= min(Self.leastPieceNodes, vectors)
            && pieces <= PiecePartition.maximumPieces && sampleSize(pieces: pieces) >= pieces
    }

    // MARK: Pieces

    /// Bytes beside a piece that are there whatever its size.
    private var pieceBytes: Int { cap - fixedBytes - vectors * Self.pieceTableBytes }

    /// How many nodes a piece has at most.
    var pieceCapacity: Int {
        // Beside codes and edges: who it is, and the proposals of a batch, a fiftieth of the nodes.
        let neighbors = configuration.graph(degree: configuration.degree).neighbors
        return max(pieceBytes, 0) / (nodeBytes + 12 + neighbors / 2)
    }

    /// How many pieces so many nodes make: one, or as many as have room for each of them in two.
    func pieceCount(nodes: Int) -> Int {
        let capacity = max(pieceCapacity, 1)
        if nodes <= capacity { return 1 }
        let places = 2 * nodes
        // A node finds room in two different ones even where all but one are full.
        return max(
            (places + places / Self.spareShare + capacity - 1) / capacity,
            (places + capacity - 1) / capacity + 1)
    }

    /// How many nodes show where so many pieces are to be: each in floats, and its distances.
    func sampleSize(pieces: Int) -> Int {
        let left = pieceBytes - 3 * pieces * dimensions * 4
        return min(
            pieces * Self.samplePerPiece, max(left, 0) / (4 * dimensions + 8 * pieces + 32))
    }

    /// How many nodes are merged at a time: two lists to each, one that was read, and the result.
    var mergedNodes: Int {
        min(
            max(pieceBytes / (4 * 4 * configuration.degree), Self.mergedNodes.lowerBound),
            Self.mergedNodes.upperBound)
    }

    /// How many vectors train the product codes.
    var productSample: Int {
        if isWhole { return ProductCodes.sampleRows }
        let left = cap - fixedBytes - vectors * Self.tableBytes
        return min(
            ProductCodes.sampleRows, Self.leastProductSample + left / productSampleBytes)
    }

    // MARK: Bytes

    /// Bytes of a node's code of 8 bits, with its padding and its length, and of its edges, those on
    /// levels above with them.
    private var nodeBytes: Int {
        dimensions + 20 + 4 * configuration.degree + 4 * configuration.degree / Self.mostNavigated
    }

    /// One vector of the sample, and what its training takes.
    private var productSampleBytes: Int { 4 * dimensions + 5 }

    /// Bytes of a file that are written at a time.
    var chunkBytes: Int { Self.chunkBytes(cap: cap) }

    static func chunkBytes(cap: Int) -> Int { min(cap / chunkShare, largestChunk) }

    /// What does not grow with the vectors, or hardly.
    private var fixedBytes: Int {
        let degree = configuration.degree
        let layout = DiskLayout(
            dimensions: dimensions, degree: degree, element: .float32, nodeCount: max(vectors, 1))
        // One that is made, one that is written, and one of vectors that are yet to be staged.
        let chunks = 3 * max(chunkBytes, layout.blockBytes, 2 * 4 * dimensions)
        let products =
            2 * ProductCodes.byteCount(dimensions: dimensions)
            + min(vectors, Self.leastProductSample) * productSampleBytes
        let choosing =
            WalkScratch.byteCount(
                nodes: vectors, degree: degree, ef: max(configuration.efConstruction, 2 * degree))
            + (degree + 2) * (dimensions + 128)
        return chunks + products + choosing + navigationBytes + probeBytes(layout)
    }

    private var navigationBytes: Int {
        let perNode =
            dimensions + 20 + 3 * 4
            * DiskNavigation.shape(counts: [1], degree: configuration.degree)
            .degrees[0]
        // A few more than so many are in it by chance.
        return (vectors / nodesPerNavigated * 5 / 4 + 8) * perNode
    }

    /// Searches that measure what is found, where that is worth it.
    private func probeBytes(_ layout: DiskLayout) -> Int {
        guard vectors >= DiskRecallProbe.leastNodes else { return 0 }
        return DiskSearcher.byteCount(
            layout, parts: (dimensions + 1) / DiskConstruction.dimensionsPerPart,
            ef: DiskRecallProbe.largestEffort) + DiskRecallProbe.queries * (4 * dimensions + 512)
    }

    /// One node in so many is in the navigation graph.
    var nodesPerNavigated: Int {
        let shape = DiskNavigation.shape(counts: [1], degree: configuration.degree)
        let perNode = dimensions + 20 + 2 * 4 * shape.degrees[0]
        var nodes = Self.mostNavigated
        while vectors / nodes * perNode > configuration.memoryCapBytes / Self.navigationShare {
            nodes *= 2
        }
        return nodes
    }
}
