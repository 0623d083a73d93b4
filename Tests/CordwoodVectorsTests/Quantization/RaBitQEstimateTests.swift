import CCordwoodKernels
import TestSupport
import Testing

@testable import CordwoodVectors

/// What the paper promises of estimates, over random rotations.
@Suite struct RaBitQEstimateTests {
    static let dimensions = [1, 2, 3, 17, 64, 100, 200]

    /// Of so many normal variables, at most this part are more than `epsilon` deviations below their
    /// mean: what the error function says, and room for chance.
    private static func promised(_ epsilon: Float, of count: Int) -> Double {
        let share: Double = epsilon == 1 ? 0.1587 : epsilon == 1.9 ? 0.0287 : 0.00135
        return share + 5 * (share * (1 - share) / Double(count)).squareRoot()
    }

    @Test(arguments: [1, 3, 64, 130], Metric.allCases)
    func estimatesHaveNoBias(dimensions: Int, metric: Metric) throws {
        let data = RaBitQData(rows: 20, queries: 5, dimensions: dimensions, seed: 11)
        for bits in [1, 2, 8] {
            // One number of each rotation, since the errors of one depend on each other.
            var means: [Double] = []
            for seed in seeds(20) {
                let fixture = try RaBitQFixture(
                    .init(bits: bits, seed: seed), metric, data.rows, centroids: data.centers)
                var sum = 0.0
                for query in data.queries {
                    let query = metric == .cosine ? RaBitQFixture.unit(query) : query
                    for estimate in fixture.estimates(query, bits: bits) {
                        let product = zip(query, fixture.rows[estimate.row]).enumerated()
                            .reduce(0.0) {
                                let center = fixture.centroids[estimate.list][$1.0]
                                return $0 + Double($1.1.0 - center) * Double($1.1.1 - center)
                            }
                        let error = estimate.distance - fixture.distance(query, estimate.row)
                        // An estimate whose length is wrong errs with the sign of the product. One of
                        // L2 below zero is given as zero, and says nothing here.
                        if metric != .l2 || estimate.distance > 0 {
                            sum += error * (product < 0 ? -1 : 1)
                        }
                    }
                }
                means.append(sum / Double(data.queries.count * fixture.rows.count))
            }
            let mean = means.reduce(0, +) / Double(means.count)
            let variance = means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            let deviation = variance.squareRoot() / Double(means.count)
            #expect(
                abs(mean) <= 4.5 * deviation + 2e-6 * Double(dimensions),
                "\(bits) bits: \(mean), deviation \(deviation)")
        }
    }

    @Test(arguments: dimensions, Metric.allCases)
    func boundsHoldAsOftenAsPromised(dimensions: Int, metric: Metric) throws {
        for bits in 1...8 {
            var (count, outside) = (0, [Float: Int]())
            for seed in seeds(4) {
                let data = RaBitQData(
                    rows: 30, queries: 6, dimensions: dimensions, seed: 100 + seed,
                    spread: seed % 2 == 0 ? 1 : 0.2)
                let fixture = try RaBitQFixture(
                    .init(bits: bits, epsilon: 1.9, seed: seed), metric, data.rows,
                    centroids: data.centers)
                for query in data.queries {
                    let query = metric == .cosine ? RaBitQFixture.unit(query) : query
                    for level in Set([1, bits]) {
                        for estimate in fixture.estimates(query, bits: level) {
                            let distance = fixture.distance(query, estimate.row)
                            count += 1
                            #expect(estimate.bound.isFinite)
                            outside[1.9, default: 0] += distance < estimate.bound ? 1 : 0
                            // An estimate of L2 below zero is given as zero, and has no width.
                            guard estimate.distance > 0 || metric != .l2 else { continue }
                            let off = distance - estimate.distance
                            let width = (estimate.distance - estimate.bound) / 1.9
                            for epsilon in [Float(1), 3] where off < -Double(epsilon) * width {
                                outside[epsilon, default: 0] += 1
                            }
                            for epsilon in [Float(1), 1.9, 3] where off > Double(epsilon) * width {
                                outside[-epsilon, default: 0] += 1
                            }
                        }
                    }
                }
            }
            // In few dimensions the errors of a row's estimates are nearly the same for all queries.
            let independent = dimensions < 8 ? count / 6 : count
            for (epsilon, found) in outside {
                #expect(
                    Double(found) <= Self.promised(abs(epsilon), of: independent) * Double(count),
                    "\(bits) bits, epsilon \(epsilon): \(found) of \(count) outside")
            }
        }
    }

    /// Bounds are no wider than they need to be: in many dimensions some distances are outside, and the
    /// error halves with each bit.
    @Test func boundsAreNarrow() throws {
        let data = RaBitQData(rows: 60, queries: 10, dimensions: 192, centers: 1, seed: 5)
        var last = Double.infinity
        for bits in 1...8 {
            let fixture = try RaBitQFixture(
                .init(bits: bits, epsilon: 1, seed: 9), .innerProduct, data.rows,
                centroids: data.centers)
            var (count, below, squares) = (0, 0, 0.0)
            for query in data.queries {
                for estimate in fixture.estimates(query, bits: bits) {
                    let error = estimate.distance - fixture.distance(query, estimate.row)
                    count += 1
                    below += error > estimate.distance - estimate.bound ? 1 : 0
                    squares += error * error
                }
            }
            // Of normal variables, 16 in 100 are more than a deviation below.
            #expect(Double(below) > 0.07 * Double(count), "\(bits) bits: \(below) of \(count)")
            let error = (squares / Double(count)).squareRoot()
            #expect(error < 0.65 * last, "\(bits) bits: \(error) after \(last)")
            last = error
        }
    }

    /// Rows that are their center have no direction, and their distances are exact.
    @Test(arguments: [1, 5, 64, 130], Metric.allCases)
    func rowsAtTheCenterAreExact(dimensions: Int, metric: Metric) throws {
        var random = SeededGenerator(seed: 8)
        let row = RaBitQFixture.unit(random.vector(dimensions))
        let rows = Array(repeating: row, count: 40)
        for bits in [1, 4, 8] {
            let fixture = try RaBitQFixture(.init(bits: bits), metric, rows, centroids: [row])
            let query = RaBitQFixture.unit(random.vector(dimensions))
            for estimate in fixture.estimates(query, bits: bits) {
                let distance = fixture.distance(query, estimate.row)
                #expect(abs(estimate.distance - distance) < 1e-5)
                #expect(estimate.bound <= distance + 1e-6 && estimate.bound > distance - 1e-4)
            }
            let found = fixture.search(query, limit: 3)
            #expect(found.neighbors.map(\.id) == fixture.ids.suffix(3).reversed())
        }
    }

    /// Sizes at the ends of what floats can say: what searches find is right where bounds say nothing.
    @Test(arguments: [Float(1e-40), 1e-30, 1e-10, 1e10, 1e18, 1e25, 3e38])
    func sizesDoNotMatter(size: Float) throws {
        var random = SeededGenerator(seed: 4)
        let rows = (0..<70).map { number in
            random.vector(20).map { $0 * size * (number % 3 == 0 ? 1e-3 : 1) }
        }
        for bits in [1, 3, 8] {
            let fixture = try RaBitQFixture(
                .init(bits: bits, epsilon: 4), .l2, rows, centroids: [rows[0]])
            for query in rows.prefix(5) {
                let found = fixture.search(query, limit: 10).neighbors
                #expect(found.count == 10 && isSorted(found))
                // Where squares are floats, what is found is what is nearest.
                if (1e-10...1e18).contains(size) {
                    #expect(found.map(\.id) == fixture.nearest(query, limit: 10))
                }
            }
        }
    }

    /// What is far from zero loses nothing, since the mean is taken from all.
    @Test func rowsFarFromZeroAreAsGoodAsOthers() throws {
        let data = RaBitQData(rows: 60, queries: 4, dimensions: 64, centers: 1, seed: 6)
        func moved(_ vectors: [[Float]]) -> [[Float]] { vectors.map { $0.map { $0 + 4096 } } }
        for bits in [1, 8] {
            let fixture = try RaBitQFixture(
                .init(bits: bits, epsilon: 3), .l2, moved(data.rows),
                centroids: moved(data.centers))
            for query in moved(data.queries) {
                for estimate in fixture.estimates(query, bits: bits) {
                    let distance = fixture.distance(query, estimate.row)
                    #expect(
                        abs(estimate.distance - distance) < (bits == 1 ? 0.4 : 0.004) * distance)
                    #expect(estimate.bound <= distance)
                }
            }
        }
    }
}
