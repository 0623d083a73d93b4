internal import CordwoodStorage

/// The section `meta` of an index's file: what the index is, and how long its other sections are.
struct DiskDescription: Sendable {
    private static let headBytes = 64
    private static let maximumLevels = 32

    let dimensions: Int
    let metric: Metric
    let configuration: DiskConfiguration
    let element: DiskElement
    private(set) var count = 0
    private(set) var nodeCount = 0
    private(set) var parts = 0
    /// Nodes of the navigation graph's levels, from the lowest.
    private(set) var navigation: [Int] = []

    /// Of an index without a vector.
    init(
        dimensions: Int, metric: Metric, configuration: DiskConfiguration, element: DiskElement
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.configuration = configuration
        self.element = element
    }

    /// The same of an index with vectors.
    func of(
        vectors: Int, _ layout: DiskLayout, parts: Int, navigation: [Int]
    ) -> DiskDescription {
        var result = self
        result.count = vectors
        result.nodeCount = layout.nodeCount
        result.parts = parts
        result.navigation = navigation
        return result
    }

    var layout: DiskLayout {
        DiskLayout(
            dimensions: dimensions, degree: configuration.degree, element: element,
            nodeCount: nodeCount)
    }

    var navigationShape: GraphShape {
        DiskNavigation.shape(counts: navigation, degree: configuration.degree)
    }

    // MARK: Bytes

    var encoded: MemorySlice {
        var writer = ByteWriter(count: Self.headBytes + 4 * navigation.count)
        writer.littleEndian(UInt32(dimensions))
        writer.littleEndian(metric.fileNumber)
        writer.littleEndian(element.rawValue)
        writer.littleEndian(UInt16(0))
        writer.littleEndian(UInt32(configuration.degree))
        writer.littleEndian(UInt32(configuration.efConstruction))
        writer.littleEndian(configuration.seed)
        writer.littleEndian(UInt64(nodeCount))
        writer.littleEndian(UInt64(count))
        writer.littleEndian(UInt32(parts))
        writer.littleEndian(UInt32(navigation.count))
        writer.littleEndian(UInt64(configuration.memoryCapBytes))
        writer.zeros(Self.headBytes - writer.position)
        for count in navigation { writer.littleEndian(UInt32(count)) }
        return MemorySlice(writer.block)
    }

    init(_ bytes: MemorySlice) throws(VectorError) {
        var reader = ByteReader(bytes.unsafeBytes)
        guard let dimensions = reader.littleEndian(UInt32.self),
            let metric = reader.littleEndian(UInt8.self).flatMap(Metric.init(fileNumber:)),
            let element = reader.littleEndian(UInt8.self).flatMap(DiskElement.init(rawValue:)),
            reader.skip(2) != nil,
            let degree = reader.littleEndian(UInt32.self),
            let efConstruction = reader.littleEndian(UInt32.self),
            let seed = reader.littleEndian(UInt64.self),
            let nodes = reader.littleEndian(UInt64.self),
            let count = reader.littleEndian(UInt64.self),
            let parts = reader.littleEndian(UInt32.self),
            let levels = reader.littleEndian(UInt32.self), levels <= Self.maximumLevels,
            let memoryCap = reader.littleEndian(UInt64.self), memoryCap <= UInt64(Int.max),
            reader.skip(Self.headBytes - reader.position) != nil,
            reader.remaining == 4 * Int(levels)
        else { throw VectorError(.damaged, "the section meta makes no sense") }
        self.dimensions = Int(dimensions)
        self.metric = metric
        self.element = element
        configuration = DiskConfiguration(
            degree: Int(degree), efConstruction: Int(efConstruction),
            memoryCapBytes: Int(memoryCap), seed: seed)
        while let nodes = reader.littleEndian(UInt32.self) { navigation.append(Int(nodes)) }
        do throws(VectorError) {
            try FlatIndex.validate(dimensions: self.dimensions)
            try configuration.validate()
        } catch { throw VectorError(.damaged, "section meta: \(error.detail)") }
        guard count <= UInt64(DiskIndex.maximumCount), nodes <= count,
            (count == 0) == (nodes == 0), (count == 0) == navigation.isEmpty,
            navigation.allSatisfy({ $0 > 0 && $0 <= Int(nodes) }),
            zip(navigation, navigation.dropFirst()).allSatisfy(>=),
            count == 0 || (1...self.dimensions).contains(Int(parts))
        else {
            throw VectorError(
                .damaged,
                "section meta: \(nodes) nodes of \(count) vectors, codes of \(parts) bytes, "
                    + "levels of \(navigation) nodes")
        }
        self.count = Int(count)
        nodeCount = Int(nodes)
        self.parts = Int(parts)
    }
}
