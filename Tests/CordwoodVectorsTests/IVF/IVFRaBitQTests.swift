import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

/// Lists whose vectors are kept by RaBitQ.
@Suite struct IVFRaBitQTests {
    private func index(
        _ data: ClusteredVectors, _ metric: Metric, bits: Int, keepsVectors: Bool = true,
        lists: Int? = nil, threads: Int = 1
    ) throws -> IVFIndex {
        var builder = try IVFBuilder(
            dimensions: data.dimensions, metric: metric,
            configuration: .init(
                lists: lists, quantization: .rabitq, rabitqBits: bits, keepsVectors: keepsVectors,
                seed: 5))
        for (number, vector) in data.vectors.enumerated() {
            try builder.append(id: UInt64(number), vector: vector.span)
        }
        return try builder.build(threads: threads)
    }

    private func search(
        _ index: IVFIndex, _ data: ClusteredVectors, limit: Int = 10, effort: Int,
        allowing allowed: VectorBitmap? = nil
    ) throws -> [[Neighbor]] {
        try data.queries.map {
            try index.search($0.span, limit: limit, accuracy: .effort(effort), allowing: allowed)
        }
    }

    /// With all lists read, what is missing is what the bounds miss.
    @Test(arguments: [1, 4, 8], Metric.allCases)
    func searchesFindWhatIsNearest(bits: Int, metric: Metric) throws {
        let data = ClusteredVectors(count: 1500, queries: 30, dimensions: 40, seed: 2)
        let index = try index(data, metric, bits: bits, lists: 20)
        let flat = try data.flatIndex(metric)
        let exact = try data.queries.map { try flat.search($0, limit: 10) }
        var last = 0.0
        for effort in [1, 4, 20] {
            let found = try search(index, data, effort: effort)
            #expect(found.allSatisfy { $0.count == 10 && isSorted($0) })
            let share = recall(found, exact)
            #expect(share >= last, "\(effort) lists")
            last = share
        }
        #expect(last > 0.97, "\(bits) bits: \(last)")
    }

    /// Estimates alone find more with more bits.
    @Test func withoutVectorsEstimatesAreTheResult() throws {
        let data = ClusteredVectors(count: 1500, queries: 30, dimensions: 40, seed: 3)
        let flat = try data.flatIndex(.cosine)
        let exact = try data.queries.map { try flat.search($0, limit: 10) }
        var last = 0.0
        for (bits, least) in [(1, 0.3), (4, 0.85), (8, 0.97)] {
            let index = try index(data, .cosine, bits: bits, keepsVectors: false, lists: 20)
            let ids = try search(index, data, effort: 20).map { $0.map(\.id) }
            let hits = zip(ids, exact).map { Set($0).intersection($1.map(\.id)).count }
            let share = Double(hits.reduce(0, +)) / 300
            #expect(share > least && share > last, "\(bits) bits: \(share)")
            last = share
        }
    }

    @Test(arguments: [0.01, 0.3, 0.9])
    func filtersAreSoundAndFull(share: Double) throws {
        let data = ClusteredVectors(count: 900, queries: 10, dimensions: 24, seed: 6)
        let index = try index(data, .l2, bits: 2)
        var random = SeededGenerator(seed: 12)
        var allowed = VectorBitmap(count: index.count)
        for place in 0..<index.count {
            allowed[place] = Double.random(in: 0..<1, using: &random) < share
        }
        let ids = Set((0..<index.count).filter { allowed[$0] }.map { index.id(at: $0) })
        let plan = IVFPlan.lists(probes: 2, refined: 10)
        for query in data.queries {
            let found = index.search(
                query, count: 1, limit: 10, plan: plan, allowing: allowed)[0]
            #expect(found.count == min(10, ids.count))
            #expect(Set(found.map(\.id)).isSubset(of: ids))
        }
    }

    @Test func theSameIndexWithAnyNumberOfThreads() throws {
        let data = ClusteredVectors(count: 700, queries: 1, dimensions: 30, seed: 8)
        func bytes(_ slice: MemorySlice) -> [UInt8] { Array(slice.unsafeBytes) }
        func sections(_ threads: Int) throws -> [[UInt8]] {
            let index = try index(data, .l2, bits: 3, threads: threads)
            guard case .rabitq(let codes)? = index.parts?.codes?.quantizer else { return [] }
            return codes.sections.map { bytes($0.bytes) }
        }
        let first = try sections(1)
        #expect(first.count == 3 && first.allSatisfy { !$0.isEmpty })
        #expect(try sections(3) == first)
    }

    /// The codes come back from the sections of a file, and those that are missing or wrong are named.
    @Test func sectionsComeBack() throws {
        let data = ClusteredVectors(count: 300, queries: 1, dimensions: 30, seed: 8)
        let index = try index(data, .l2, bits: 3)
        let parts = try #require(index.parts)
        guard case .rabitq(let codes)? = parts.codes?.quantizer else {
            Issue.record("no codes of RaBitQ")
            return
        }
        func read(_ sections: [IndexFile.Section]) throws(VectorError) -> RaBitQCodes {
            try RaBitQCodes(
                checking: IndexFile(kind: .ivf, sections: sections), metric: .l2, dimensions: 30,
                starts: parts.lists.allStarts,
                centroids: parts.lists.centroids.pointer(to: Float.self)!)
        }
        let again = try read(codes.sections)
        #expect(again.quantizer.configuration == codes.quantizer.configuration)
        #expect(again.starts == codes.starts && again.bytesAllocated == codes.bytesAllocated)
        for missing in 0..<3 {
            var sections = codes.sections
            sections.remove(at: missing)
            expectError(.damaged, mentions: "is missing") { () throws(VectorError) in
                _ = try read(sections)
            }
        }
        var sections = codes.sections
        sections[1].bytes = sections[2].bytes
        expectError(.damaged, mentions: "of blocks") { () throws(VectorError) in
            _ = try read(sections)
        }
    }

    @Test(arguments: [0, 9, -1])
    func bitsAreChecked(bits: Int) {
        expectError(.invalidConfiguration, mentions: "rabitqBits: expected 1 to 8, found \(bits)") {
            () throws(VectorError) in try IVFConfiguration(rabitqBits: bits).validate()
        }
    }

    @Test(arguments: [1, 2, 40])
    func fewAndEqualVectors(count: Int) throws {
        for metric in Metric.allCases {
            var builder = try IVFBuilder(
                dimensions: 3, metric: metric, configuration: .init(quantization: .rabitq))
            for number in 0..<count {
                try builder.append(id: UInt64(number), vector: ([0, 0, 0] as [Float]).span)
            }
            let index = try builder.build()
            let query: [Float] = [1, 2, 3]
            let found = try index.search(query.span, limit: 50)
            #expect(found.map(\.id) == (0..<UInt64(count)).map { $0 })
        }
    }
}
