import CordwoodVectors
import Testing

@testable import CordwoodBench

@Suite struct GroundTruthTests {
    /// Random rows as an .fvecs file in a directory of their own.
    private static func makeFile(
        in scratch: borrowing ScratchDirectory, rows: Int, dimensions: Int, seed: UInt64
    ) throws -> String {
        var generator = SplitMix64(seed: seed)
        var bytes: [UInt8] = []
        for _ in 0..<rows {
            withUnsafeBytes(of: UInt32(dimensions).littleEndian) { bytes += $0 }
            for _ in 0..<dimensions {
                let value = Float.random(in: -1...1, using: &generator)
                withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
            }
        }
        let path = "\(scratch.path)/base.fvecs"
        try SmallFile.replace(path, with: bytes)
        return path
    }

    @Test func heldOutRowsAreNoPartOfTheBase() throws {
        let scratch = try ScratchDirectory(in: "/tmp")
        let path = try Self.makeFile(in: scratch, rows: 100, dimensions: 3, seed: 1)
        let set = try VectorSet.open(
            base: path, source: .heldOut(20, seed: 7), limit: nil, queryLimit: nil)
        var ids: Set<UInt64> = []
        var rows: Set<[Float]> = []
        try set.forEachRow { id, vector in
            ids.insert(id)
            rows.insert(vector.indices.map { vector[$0] })
        }
        #expect(set.count == 80)
        #expect(ids.count == 80)
        for query in 0..<20 { #expect(!rows.contains(Array(set.queries[set.query(query)]))) }
        let again = try VectorSet.open(
            base: path, source: .heldOut(20, seed: 7), limit: nil, queryLimit: nil)
        #expect(again.queries == set.queries)
    }

    @Test(arguments: Metric.allCases)
    func recallCountsWhatIsNoFartherThanTheLastTrueNeighbour(metric: Metric) throws {
        let scratch = try ScratchDirectory(in: "/tmp")
        let path = try Self.makeFile(in: scratch, rows: 300, dimensions: 5, seed: 2)
        let set = try VectorSet.open(
            base: path, source: .heldOut(10, seed: 1), limit: nil, queryLimit: nil)
        let index = try FlatUnderTest(set, metric: metric, nil)
        let truth = try GroundTruth.load(or: index, set, metric: metric, k: 4, nil)
        let exact = try index.index.search(batch: set.queries.span, limit: 8)
        #expect(truth.recall(of: exact.map { Array($0.prefix(4)) }, in: index, set) == 1)
        #expect(truth.recall(of: exact.map { Array($0.suffix(4)) }, in: index, set) == 0)
        let half = exact.map { Array($0[2..<6]) }
        #expect(truth.recall(of: half, in: index, set) == 0.5)
        let repeated = exact.map { Array(repeating: $0[0], count: 4) }
        #expect(truth.recall(of: repeated, in: index, set) == 0.25)
    }

    @Test func theTruthIsKeptUntilTheBaseChanges() throws {
        let scratch = try ScratchDirectory(in: "/tmp")
        func measure() throws -> Double {
            let set = try VectorSet.open(
                base: "\(scratch.path)/base.fvecs", source: .heldOut(5, seed: 1), limit: nil,
                queryLimit: nil)
            let index = try FlatUnderTest(set, metric: .l2, nil)
            let truth = try GroundTruth.load(or: index, set, metric: .l2, k: 3, nil)
            let exact = try index.index.search(batch: set.queries.span, limit: 3)
            return truth.recall(of: exact, in: index, set)
        }
        _ = try Self.makeFile(in: scratch, rows: 200, dimensions: 4, seed: 3)
        #expect(try measure() == 1)
        // From the file now, and the same.
        #expect(try measure() == 1)
        // Other rows under the same name and of the same size: an old truth would be wrong.
        _ = try Self.makeFile(in: scratch, rows: 200, dimensions: 4, seed: 4)
        #expect(try measure() == 1)
    }
}
