/// How a graph of near neighbours is built. The names are those of the paper (Malkov and Yashunin,
/// arXiv 1603.09320) and of hnswlib, where M is ``neighbors``.
public struct HNSWConfiguration: Sendable, Hashable {
    public static let neighborsRange = 2...128
    public static let efConstructionRange = 8...4096
    /// What the nodes of a graph can be kept as.
    public static let quantizations: [Quantization] = [.none, .sq8, .sq4]

    /// M: how many neighbours a vector chooses when it is added. It has at most twice as many on the
    /// lowest level, and as many on each other. More find better in difficult data, at 8 bytes a
    /// vector each.
    public var neighbors: Int
    /// How many near vectors are looked at to choose the neighbours from. More take longer to build
    /// and find better, with less and less gain.
    public var efConstruction: Int
    /// What searches compare first.
    public var quantization: Quantization
    /// What is kept beside codes, so that the nearest by their codes are compared once more. An index
    /// whose vectors halves cannot hold says ``Reranking/f32`` where ``Reranking/f16`` was asked for.
    public var reranking: Reranking
    /// The levels of the vectors follow from it and from their order: the same bytes for the same seed.
    public var seed: UInt64

    public init(
        neighbors: Int = 16, efConstruction: Int = 200, quantization: Quantization = .sq8,
        reranking: Reranking = .f32, seed: UInt64 = 0
    ) {
        self.neighbors = neighbors
        self.efConstruction = efConstruction
        self.quantization = quantization
        self.reranking = reranking
        self.seed = seed
    }

    /// What is kept beside the rows of walks: without codes those are the vectors anyway.
    var keptBesideCodes: Reranking { quantization == .none ? .none : reranking }

    /// Throws ``VectorError/Code/invalidConfiguration`` where a number is out of range.
    public func validate() throws(VectorError) {
        func check(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws(VectorError) {
            guard range.contains(value) else {
                throw VectorError(
                    .invalidConfiguration,
                    "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        guard quantization == .auto || Self.quantizations.contains(quantization) else {
            throw VectorError(
                .invalidConfiguration,
                "quantization: expected one of \(Self.quantizations.map(\.rawValue)) or auto, "
                    + "found \(quantization.rawValue)")
        }
        try check(neighbors, Self.neighborsRange, "neighbors")
        try check(efConstruction, Self.efConstructionRange, "efConstruction")
        guard efConstruction >= neighbors else {
            throw VectorError(
                .invalidConfiguration,
                "efConstruction: expected at least \(neighbors), as many as neighbors, "
                    + "found \(efConstruction)")
        }
    }
}
