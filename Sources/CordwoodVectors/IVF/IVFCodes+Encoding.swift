internal import CCordwoodKernels
internal import CordwoodStorage

extension IVFCodes {
    /// Lists that a thread takes at a time.
    private static let chunk = 16

    /// The bits of a group's code, or nil where there are no groups.
    static func productBits(_ quantization: Quantization) -> Int? {
        switch quantization {
        case .pq4: 4
        case .pq8: 8
        case .none, .sq8, .sq4, .rabitq, .auto: nil
        }
    }

    /// Components to each group.
    static func groupWidth(_ configuration: IVFConfiguration, dimensions: Int) -> Int {
        let usual = configuration.quantization == .pq8 ? 4 : 2
        return ProductQuantizer.width(
            configuration.groupWidth ?? usual, dimensions: dimensions)
    }

    /// Encodes all lists of vectors, or returns nil where they are kept as they are.
    static func encoding(
        _ source: IVFSource, _ lists: IVFLists, as configuration: IVFConfiguration
    ) throws(VectorError) -> IVFCodes? {
        switch configuration.quantization {
        case .none: nil
        case .pq4, .pq8: try blocks(source, lists, configuration)
        case .rabitq: try signs(source, lists, configuration)
        // The configuration was validated, and ``Quantization/auto`` resolved: only sq8 is left.
        case .sq8, .sq4, .auto: try rows(source, lists)
        }
    }

    private static func rows(_ source: IVFSource, _ lists: IVFLists) throws(VectorError) -> IVFCodes
    {
        let quantizer = ScalarQuantizer(
            bits: 8, metric: source.metric, dimensions: source.dimensions, rows: source.rows,
            stride: source.dimensions, count: source.count)
        let stride = quantizer.stride
        let memory = try MappedMemory(byteCount: stride * source.count)
        memory.preferHugePages()
        ParallelWork.run(0..<lists.count, chunk: chunk, threads: source.threads) { _, chunk in
            for list in chunk {
                let places = lists.places(of: list)
                source.order[places].withUnsafeBufferPointer { order in
                    guard let order = order.baseAddress else { return }
                    quantizer.encode(
                        source.rows, stride: source.dimensions, order: order,
                        count: places.count,
                        into: memory.bound(
                            to: UInt8.self, capacity: places.count * stride,
                            at: places.lowerBound * stride))
                }
            }
        }
        return IVFCodes(
            quantizer: .scalar(quantizer),
            bytes: MemorySlice(memory.block(count: stride * source.count)))
    }

    private static func signs(
        _ source: IVFSource, _ lists: IVFLists, _ configuration: IVFConfiguration
    ) throws(VectorError) -> IVFCodes {
        let quantizer = RaBitQuantizer(
            RaBitQConfiguration(bits: configuration.bits, seed: configuration.seed),
            metric: source.metric, dimensions: source.dimensions, rows: source.rows,
            stride: source.dimensions, count: source.count)
        let codes = try RaBitQCodes(
            quantizer, rows: source.rows, stride: source.dimensions, order: source.order,
            starts: lists.allStarts, centroids: lists.centroids.pointer(to: Float.self)!,
            threads: source.threads)
        return IVFCodes(quantizer: .rabitq(codes), bytes: codes.blocks)
    }

    private static func blocks(
        _ source: IVFSource, _ lists: IVFLists, _ configuration: IVFConfiguration
    ) throws(VectorError) -> IVFCodes {
        let bits = productBits(configuration.quantization)!
        let width = groupWidth(configuration, dimensions: source.dimensions)
        let quantizer = ProductQuantizer(
            bits: bits, width: width, metric: source.metric, dimensions: source.dimensions,
            rows: try source.sampledDifferences(
                lists, count: ProductQuantizer.sampleRows(bits: bits), width: width),
            threads: source.threads)
        let blockBytes = quantizer.blockBytes
        let byteCount = blockBytes * lists.blockCount
        let memory = try MappedMemory(byteCount: byteCount)
        memory.preferHugePages()
        let columns = quantizer.paddedDimensions
        ParallelWork.run(0..<lists.count, chunk: chunk, threads: source.threads) { _, chunk in
            for list in chunk {
                let places = lists.places(of: list)
                let differences = AlignedFloats(count: places.count * columns)
                let center = AlignedFloats(count: columns)
                let centroid = lists.centroids.pointer(to: Float.self)! + list * source.dimensions
                center.base.update(from: centroid, count: source.dimensions)
                for (row, place) in places.enumerated() {
                    source.difference(
                        place, centroid, into: differences.base + row * columns)
                }
                cordwood_pq_encode(
                    quantizer.kernel, differences.base, columns, places.count, center.base,
                    memory.bound(
                        to: UInt8.self,
                        capacity: (places.count + 31) / 32 * blockBytes,
                        at: lists.firstBlock(of: list) * blockBytes))
            }
        }
        return IVFCodes(
            quantizer: .product(quantizer), bytes: MemorySlice(memory.block(count: byteCount)))
    }
}

/// The vectors that lists are made of: floats in another order.
struct IVFSource: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes meanwhile.

    /// Rows that a thread takes at a time.
    private static let chunk = 2048

    let rows: UnsafePointer<Float>
    let dimensions: Int
    let metric: Metric
    /// The row of floats that belongs to each place.
    let order: [UInt32]
    let threads: Int

    var count: Int { order.count }

    /// The components of the vector at a place.
    func floats(of place: Int) -> UnsafePointer<Float> {
        rows + Int(order[place]) * dimensions
    }

    /// The vectors by place.
    func copied() throws(VectorError) -> MemorySlice {
        let stride = dimensions * MemoryLayout<Float>.stride
        let memory = try MappedMemory(byteCount: stride * count)
        memory.preferHugePages()
        ParallelWork.run(0..<count, chunk: Self.chunk, threads: threads) { _, places in
            for place in places {
                (memory.base + place * stride).copyMemory(
                    from: floats(of: place), byteCount: stride)
            }
        }
        return MemorySlice(memory.block(count: stride * count))
    }

    /// Writes what a vector differs by from a centroid, as finite floats whatever the two are.
    func difference(
        _ place: Int, _ centroid: UnsafePointer<Float>, into difference: UnsafeMutablePointer<Float>
    ) {
        let most = Float.greatestFiniteMagnitude
        let vector = floats(of: place)
        for component in 0..<dimensions {
            difference[component] = max(-most, min(most, vector[component] - centroid[component]))
        }
    }

    /// What at most `count` vectors, evenly spread over all places, differ by from their centroids, padded
    /// with zeros to whole groups of `width`.
    func sampledDifferences(
        _ lists: IVFLists, count wanted: Int, width: Int
    ) throws(VectorError) -> FloatMatrix {
        let sampled = min(wanted, count)
        let differences = try FloatMatrix(
            rows: sampled, columns: (dimensions + width - 1) / width * width)
        var list = 0
        for row in 0..<sampled {
            let place = row * count / sampled
            while !lists.places(of: list).contains(place) { list += 1 }
            let centroid = lists.centroids.pointer(to: Float.self)! + list * dimensions
            difference(place, centroid, into: differences.row(row))
        }
        return differences
    }
}
