internal import CCordwoodKernels

/// Divides the nodes of a graph among pieces by where they are, each into two, so that graphs of the
/// pieces have the edges that a graph of all would have, and hang together (DiskANN: Subramanya et al.,
/// NeurIPS 2019, section 3.3).
///
/// Centers are those of k-means. So that no piece gets too large, a center where too many would go has a
/// price, which is added to the squared distance to it; the few that still find a piece full go to the
/// next. By the inner product what is near is told by the direction alone.
struct PieceDivision: Sendable {
    private static let steps = 8
    private static let pricing = 48
    /// How far above its share a piece of the sample may be, so that chance keeps it below its capacity.
    private static let tolerance: Float = 1.12
    /// How much of the distance to the next center a price changes by at most, in one step.
    private static let priceStep: Float = 0.5
    private static let chunk = 4096
    private static let threadChunk = 128

    let rows: DiskRows
    let order: NodeOrder
    let pieceCount: Int
    let capacity: Int
    let sampleSize: Int
    let threads: Int
    let isCancelled: @Sendable () -> Bool

    /// O(nodes × pieces) distances; the same with any number of threads on one machine.
    func run() throws(VectorError) -> PiecePartition {
        guard pieceCount > 1 else { return PiecePartition(whole: order.nodeCount) }
        let sample = try sample()
        let centers = PieceCenters(
            try Lloyd(rows: sample, threads: threads).centroids(pieceCount, steps: Self.steps))
        try setPrices(of: centers, by: sample)
        return try assign(to: centers)
    }

    /// Writes what a node is compared by to `room`, or says where it is.
    private func row(
        of node: Int, _ room: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        let row = rows.base + order.vector(of: node) * rows.shape.stride
        guard rows.shape.metric == .innerProduct else { return row }
        cordwood_f32_normalize(row, rows.shape.dimensions, room)
        return UnsafePointer(room)
    }

    private func sample() throws(VectorError) -> FloatMatrix {
        let dimensions = rows.shape.dimensions
        let count = min(max(sampleSize, pieceCount), order.nodeCount)
        let sample = try FloatMatrix(rows: count, columns: dimensions)
        for place in 0..<count {
            let target = sample.row(place)
            let source = row(of: place * order.nodeCount / count, target)
            if source != UnsafePointer(target) { target.update(from: source, count: dimensions) }
        }
        return sample
    }

    // MARK: Prices

    private func setPrices(
        of centers: PieceCenters, by sample: FloatMatrix
    ) throws(VectorError) {
        let distances = try centers.distances(of: sample, threads: threads)
        let unit = centers.unit(distances)
        let share = Float(PiecePartition.piecesPerNode * sample.rows) / Float(pieceCount)
        guard unit > 0, unit.isFinite else { return }
        for step in 0..<Self.pricing {
            var counts = [Float](repeating: 0, count: pieceCount)
            for row in 0..<sample.rows {
                let (first, second) = centers.nearest(distances.row(row))
                counts[first] += 1
                counts[second] += 1
            }
            guard counts.contains(where: { $0 > Self.tolerance * share }) else { return }
            // Smaller and smaller, so that they settle.
            let change = Self.priceStep * unit * Float(Self.pricing - step) / Float(Self.pricing)
            for (center, count) in counts.enumerated() {
                centers.prices[center] += change * min(count / share - 1, 1)
            }
        }
    }

    // MARK: Assignment

    private func assign(to centers: PieceCenters) throws(VectorError) -> PiecePartition {
        var pieces = [UInt16](
            repeating: PiecePartition.none, count: PiecePartition.piecesPerNode * order.nodeCount)
        var left = [Int](repeating: capacity, count: pieceCount)
        let room = SharedFloats(count: rows.shape.dimensions)
        var distances = [Float](repeating: 0, count: pieceCount)
        for first in stride(from: 0, to: order.nodeCount, by: Self.chunk) {
            if isCancelled() { throw VectorError(.cancelled, "the building of an index on disk") }
            let nodes = first..<min(first + Self.chunk, order.nodeCount)
            for (node, nearest) in zip(nodes, nearest(of: nodes, centers)) {
                var (a, b) = nearest
                if left[a] == 0 || left[b] == 0 {
                    centers.write(distancesTo: row(of: node, room.base), &distances)
                    (a, b) = distances.withUnsafeBufferPointer {
                        centers.nearest($0.baseAddress!) { left[$0] > 0 }
                    }
                }
                left[a] -= 1
                left[b] -= 1
                pieces[2 * node] = UInt16(a)
                pieces[2 * node + 1] = UInt16(b)
            }
        }
        return PiecePartition(pieces: pieces, pieceCount: pieceCount)
    }

    /// Of some nodes the nearest two.
    private func nearest(of nodes: Range<Int>, _ centers: PieceCenters) -> [(Int, Int)] {
        [(Int, Int)](unsafeUninitializedCapacity: nodes.count) { buffer, initialized in
            let output = Output(buffer.baseAddress!)
            ParallelWork.run(nodes, chunk: Self.threadChunk, threads: threads) { _, chunk in
                let room = SharedFloats(count: rows.shape.dimensions)
                var distances = [Float](repeating: 0, count: pieceCount)
                for node in chunk {
                    centers.write(distancesTo: row(of: node, room.base), &distances)
                    let nearest = distances.withUnsafeBufferPointer {
                        centers.nearest($0.baseAddress!)
                    }
                    (output.pairs + (node - nodes.lowerBound)).initialize(to: nearest)
                }
            }
            initialized = nodes.count
        }
    }

    private struct Output: @unchecked Sendable {
        // Each thread writes the pairs of its own nodes.
        let pairs: UnsafeMutablePointer<(Int, Int)>

        init(_ pairs: UnsafeMutablePointer<(Int, Int)>) { self.pairs = pairs }
    }
}

/// Where pieces are.
private final class PieceCenters: @unchecked Sendable {
    // Sendable although prices change: one thread changes them, while no other is at work.

    private static let chunk = 128

    private let centroids: FloatMatrix
    private let rows: [UnsafePointer<Float>?]
    var prices: [Float]

    init(_ centroids: FloatMatrix) {
        self.centroids = centroids
        rows = (0..<centroids.rows).map { UnsafePointer(centroids.row($0)) }
        prices = Array(repeating: 0, count: centroids.rows)
    }

    /// The squared distances to all centers.
    func write(distancesTo row: UnsafePointer<Float>, _ distances: inout [Float]) {
        distances.withUnsafeMutableBufferPointer { write(distancesTo: row, $0.baseAddress!) }
    }

    private func write(
        distancesTo row: UnsafePointer<Float>, _ distances: UnsafeMutablePointer<Float>
    ) {
        var query = cordwood_f32_query(
            query: row, dimensions: centroids.columns, metric: CORDWOOD_L2, base: 0)
        cordwood_f32_distances(&query, rows, rows.count, distances)
    }

    func distances(of sample: FloatMatrix, threads: Int) throws(VectorError) -> FloatMatrix {
        let distances = try FloatMatrix(rows: sample.rows, columns: centroids.rows)
        ParallelWork.run(0..<sample.rows, chunk: Self.chunk, threads: threads) { [self] _, chunk in
            for row in chunk {
                write(distancesTo: UnsafePointer(sample.row(row)), distances.row(row))
            }
        }
        return distances
    }

    /// How much farther the second center is than the first, on average.
    func unit(_ distances: FloatMatrix) -> Float {
        var sum: Double = 0
        for row in 0..<distances.rows {
            let values = distances.row(row)
            let (first, second) = nearest(values)
            sum += Double(values[second]) - Double(values[first])
        }
        return Float(sum / Double(distances.rows))
    }

    /// The two of the least distance with its price, among those that `isOpen` says, of which there are
    /// two. Of what is not a number all are as far.
    func nearest(
        _ distances: UnsafePointer<Float>, _ isOpen: (Int) -> Bool = { _ in true }
    ) -> (Int, Int) {
        var (first, second) = (-1, -1)
        var (least, next) = (Float.infinity, Float.infinity)
        for center in rows.indices where isOpen(center) {
            let distance = distances[center] + prices[center]
            if first < 0 || distance < least {
                (second, next) = (first, least)
                (first, least) = (center, distance)
            } else if second < 0 || distance < next {
                (second, next) = (center, distance)
            }
        }
        return (first, second)
    }
}
