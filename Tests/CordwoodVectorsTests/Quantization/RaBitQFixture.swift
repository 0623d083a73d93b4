import CCordwoodKernels
import CordwoodStorage
import TestSupport

@testable import CordwoodVectors

/// Rows in lists around centers, their RaBitQ codes, and exact distances in double precision.
struct RaBitQFixture {
    let codes: RaBitQCodes
    let rows: [[Float]]
    let centroids: [[Float]]
    let ids: [UInt64]
    private let flat: [Float]
    private let reference: Reference

    var quantizer: RaBitQuantizer { codes.quantizer }
    var metric: Metric { quantizer.metric }

    /// Rows are put into the list of the nearest centroid, and numbered list by list; under cosine all
    /// are brought to unit length.
    init(
        _ configuration: RaBitQConfiguration, _ metric: Metric, _ vectors: [[Float]],
        centroids: [[Float]], threads: Int = 1
    ) throws {
        let dimensions = centroids[0].count
        reference = Reference(metric: metric)
        let vectors = metric == .cosine ? vectors.map(Self.unit) : vectors
        let centroids = metric == .cosine ? centroids.map(Self.unit) : centroids
        self.centroids = centroids
        let euclidean = Reference(metric: .l2)
        var lists = centroids.map { _ in [[Float]]() }
        for vector in vectors {
            let nearest = centroids.indices.min {
                euclidean.distance(centroids[$0], vector)
                    < euclidean.distance(centroids[$1], vector)
            }!
            lists[nearest].append(vector)
        }
        rows = lists.flatMap { $0 }
        flat = rows.flatMap { $0 }
        ids = rows.indices.map { UInt64(10_000 - $0) }
        let quantizer = RaBitQuantizer(
            configuration, metric: metric, dimensions: dimensions, rows: flat, stride: dimensions,
            count: rows.count)
        codes = try RaBitQCodes(
            quantizer, rows: flat, stride: dimensions, order: rows.indices.map(UInt32.init),
            starts: lists.reduce(into: [0]) { $0.append($0.last! + $1.count) },
            centroids: centroids.flatMap { $0 }, threads: threads)
    }

    static func unit(_ vector: [Float]) -> [Float] {
        var unit = vector
        cordwood_f32_normalize(vector, vector.count, &unit)
        return unit
    }

    func distance(_ query: [Float], _ row: Int) -> Double { reference.distance(query, rows[row]) }

    struct Estimate {
        var row: Int
        var list: Int
        var distance: Double
        var bound: Double
    }

    /// What `bits` bits, 1 or all, say of every row.
    func estimates(_ query: [Float], bits: Int) -> [Estimate] {
        var scratch = RaBitQScratch(quantizer)
        scratch.rotate(query)
        var estimates: [Estimate] = []
        for list in 0..<codes.listCount {
            scratch.prepare(for: list, of: codes)
            var found = [cordwood_rabitq_estimate](repeating: .init(), count: rows.count)
            var kernelList = codes.list(list, ids: ids, exact: nil, stride: 0)
            cordwood_rabitq_estimates(
                quantizer.kernel, &kernelList, &scratch.query, UInt32(bits), &found)
            for (place, found) in found.prefix(kernelList.count).enumerated() {
                estimates.append(
                    Estimate(
                        row: codes.starts[list] + place, list: list,
                        distance: Double(found.distance), bound: Double(found.bound)))
            }
        }
        return estimates
    }

    struct Found {
        var neighbors: [Neighbor]
        var refinedCount: Int
        var exactCount: Int
    }

    /// Scans every list, from the one with the nearest center on.
    func search(
        _ query: [Float], limit: Int, isExact: Bool = true, allowing allowed: VectorBitmap? = nil
    ) -> Found {
        let query = metric == .cosine ? Self.unit(query) : query
        var scratch = RaBitQScratch(quantizer)
        scratch.rotate(query)
        let heaps = NearestHeaps(count: 1, capacity: limit)
        query.withUnsafeBufferPointer { query in
            flat.withUnsafeBufferPointer { flat in
                var floats = cordwood_f32_query(
                    query: query.baseAddress, dimensions: query.count, metric: metric.kernelMetric,
                    base: metric.kernelBase)
                for list in 0..<codes.listCount {
                    scratch.prepare(for: list, of: codes)
                    var kernelList = codes.list(
                        list, ids: ids, exact: isExact ? flat.baseAddress : nil,
                        stride: query.count)
                    cordwood_rabitq_scan(
                        quantizer.kernel, &kernelList, &scratch.query, &floats, allowed?.words,
                        heaps.heaps)
                }
            }
        }
        return Found(
            neighbors: heaps.sorted()[0], refinedCount: Int(scratch.query.refined_count),
            exactCount: Int(scratch.query.exact_count))
    }

    /// The nearest rows by exact search.
    func nearest(_ query: [Float], limit: Int, where isAllowed: (Int) -> Bool = { _ in true })
        -> [UInt64]
    {
        rows.indices.filter(isAllowed).map { (distance(query, $0), ids[$0]) }
            .sorted(by: <).prefix(limit).map { $0.1 }
    }
}

/// Some centers, and rows and queries near to them.
struct RaBitQData {
    var centers: [[Float]]
    var rows: [[Float]]
    var queries: [[Float]]

    init(
        rows: Int, queries: Int, dimensions: Int, centers: Int = 3, seed: UInt64, spread: Float = 1
    ) {
        var random = SeededGenerator(seed: seed)
        let made = (0..<centers).map { _ in random.vector(dimensions) }
        func near() -> [Float] {
            let center = made[Int.random(in: made.indices, using: &random)]
            return zip(center, random.vector(dimensions)).map { $0 + spread * $1 }
        }
        self.centers = made
        self.rows = (0..<rows).map { _ in near() }
        self.queries = (0..<queries).map { _ in near() }
    }
}

/// The memory of one search at a time: a query as it is and rotated, and prepared for one list.
struct RaBitQScratch: ~Copyable {
    private let quantizer: RaBitQuantizer
    private let room: UnsafeMutableRawPointer
    private let rotated: AlignedFloats
    /// Prepared for the list of the last ``prepare(for:of:)``; counts what searches did.
    var query = cordwood_rabitq_query()

    init(_ quantizer: RaBitQuantizer) {
        self.quantizer = quantizer
        room = .allocate(byteCount: quantizer.queryBytes, alignment: 64)
        rotated = AlignedFloats(count: quantizer.rotation.rotatedDimensions)
    }

    deinit { room.deallocate() }

    /// Begins with another query. O(dimensions × log(dimensions)).
    func rotate(_ vector: UnsafePointer<Float>) {
        quantizer.rotate(vector, into: rotated.base)
    }

    /// Makes the query ready for a list. O(dimensions).
    mutating func prepare(for list: Int, of codes: RaBitQCodes) {
        cordwood_rabitq_prepare(
            quantizer.kernel, codes.center(of: list), rotated.base,
            room.assumingMemoryBound(to: UInt8.self), &query)
    }
}
