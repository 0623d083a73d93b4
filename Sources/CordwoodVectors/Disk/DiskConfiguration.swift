/// How an index on disk is built, and how much memory it may take.
public struct DiskConfiguration: Sendable, Hashable {
    public static let degreeRange = 4...256
    public static let efConstructionRange = 8...4096
    public static let memoryCapRange = 1 << 16...1 << 50

    /// The most edges that a node has (R of Vamana). More find better, and leave room for fewer nodes
    /// in a page.
    public var degree: Int
    /// How many near vectors are looked at to choose neighbours from (L of Vamana).
    public var efConstruction: Int
    /// Bytes in memory that the index may take with the memory of one thread's searches: the codes that
    /// searches steer by get as long as it allows. Each further thread that searches at the same time
    /// takes ``DiskIndex/searchBytes`` more.
    public var memoryCapBytes: Int
    /// Bytes in memory that building may take with one thread. The vectors themselves wait in a file, and
    /// where the graph does not fit either it is built in pieces, down to about 40 bytes a vector.
    public var buildMemoryCapBytes: Int
    /// The order in which vectors are added follows from it.
    public var seed: UInt64

    public init(
        degree: Int = 48, efConstruction: Int = 200, memoryCapBytes: Int = 1 << 30,
        buildMemoryCapBytes: Int = 8 << 30, seed: UInt64 = 0
    ) {
        self.degree = degree
        self.efConstruction = efConstruction
        self.memoryCapBytes = memoryCapBytes
        self.buildMemoryCapBytes = buildMemoryCapBytes
        self.seed = seed
    }

    /// Throws ``VectorError/Code/invalidConfiguration`` where a number is out of range.
    public func validate() throws(VectorError) {
        func check(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws(VectorError) {
            guard range.contains(value) else {
                throw VectorError(
                    .invalidConfiguration,
                    "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        try check(degree, Self.degreeRange, "degree")
        guard degree % 4 == 0 else {
            throw VectorError(
                .invalidConfiguration, "degree: expected a multiple of 4, found \(degree)")
        }
        try check(efConstruction, Self.efConstructionRange, "efConstruction")
        guard efConstruction >= degree / 2 else {
            throw VectorError(
                .invalidConfiguration,
                "efConstruction: expected at least \(degree / 2), found \(efConstruction)")
        }
        try check(memoryCapBytes, Self.memoryCapRange, "memoryCapBytes")
        try check(buildMemoryCapBytes, Self.memoryCapRange, "buildMemoryCapBytes")
    }

    /// What the graphs are built with: a new node chooses half as many neighbours as it may have.
    func graph(degree: Int) -> HNSWConfiguration {
        HNSWConfiguration(
            neighbors: max(degree / 2, HNSWConfiguration.neighborsRange.lowerBound),
            efConstruction: efConstruction, seed: seed)
    }
}
