import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct SealedFlatFileTests {
    private static let quantizations = SealedFlatConfiguration.quantizations
    private let fixture: IndexFileFixture
    private var path: StoragePath { fixture.path }

    init() throws { fixture = try IndexFileFixture("first.flat") }

    /// Every kind of index is the same after it was saved and opened, and its file has the same bytes,
    /// whatever number of threads built it.
    @Test(arguments: Metric.allCases, quantizations)
    func anIndexComesBackAsItWas(metric: Metric, quantization: Quantization) async throws {
        let storage = try await fixture.storage()
        for (count, reranking) in [(0, Reranking.f32), (1, .f16), (700, .f32), (700, .f16)] {
            let data = ClusteredVectors(count: count, queries: 10, dimensions: 21, seed: 1)
            let configuration = SealedFlatConfiguration(
                quantization: quantization, reranking: reranking)
            let index = try SealedFlatIndex.of(
                data.vectors, dimensions: 21, metric, configuration)
            try await index.save(to: path, on: storage)
            let saved = try await fixture.bytes(path, on: storage)
            for residency in [IndexResidency.memory, .mapped] {
                let opened = try await SealedFlatIndex.open(
                    path, on: storage, residency: residency)
                #expect(opened.count == index.count && opened.metric == metric)
                #expect(opened.configuration == index.configuration && opened.dimensions == 21)
                #expect(opened.bytesAllocated == index.bytesAllocated)
                for query in data.queries {
                    #expect(
                        try opened.search(query, limit: 7) == index.search(query, limit: 7))
                }
                let again = try path.parent.appending("again.flat")
                try await opened.save(to: again, on: storage)
                #expect(try await fixture.bytes(again, on: storage) == saved)
            }
            try await SealedFlatIndex.of(
                data.vectors, dimensions: 21, metric, configuration, threads: 3
            ).save(to: path, on: storage)
            #expect(try await fixture.bytes(path, on: storage) == saved)
        }
    }

    /// The bytes of one index, on every processor and in every version to come that does not change the
    /// format.
    @Test func theBytesAreAlwaysTheSame() async throws {
        let storage = try await fixture.storage()
        var random = SeededGenerator(seed: 4)
        let vectors = (0..<900).map { _ in random.vector(18) }
        for (quantization, reranking, metric, expected) in [
            (Quantization.none, Reranking.f32, Metric.l2, 16_265_201_004_167_734_713 as UInt64),
            (.sq8, .f32, .l2, 2_161_445_060_280_188_785),
            (.sq4, .f16, .cosine, 631_818_021_259_667_545),
        ] {
            let index = try SealedFlatIndex.of(
                vectors, dimensions: 18, metric,
                .init(quantization: quantization, reranking: reranking), threads: 3)
            try await index.save(to: path, on: storage)
            let saved = try await fixture.bytes(path, on: storage)
            #expect(digest(saved) == expected, "\(quantization), \(reranking)")
        }
    }

    /// Whatever operation of a save fails, and wherever the power goes: what is there afterwards is the
    /// index from before or the new one, whole.
    @Test(arguments: [Fault.Problem.inputOutput, .noSpace, .powerCut])
    func aSaveHappensOrDoesNot(problem: Fault.Problem) async throws {
        let data = ClusteredVectors(count: 120, queries: 1, dimensions: 6, seed: 2)
        let old = try SealedFlatIndex.of(Array(data.vectors.prefix(60)), dimensions: 6, .l2)
        let new = try SealedFlatIndex.of(data.vectors, dimensions: 6, .l2)
        var k = 0
        var succeeded = false
        while !succeeded {
            k += 1
            let storage = try await fixture.storage(seed: UInt64(k))
            try await old.save(to: path, on: storage)
            storage.inject(Fault(problem, at: k))
            do throws(VectorError) {
                try await new.save(to: path, on: storage)
                succeeded = true
            } catch { #expect(error.code == .storage, "\(error)") }
            storage.clearFaults()
            storage.crash(.bySeed)
            let found = try await SealedFlatIndex.open(path, on: storage)
            #expect(found.count == (succeeded ? 120 : 60) || found.count == 120, "operation \(k)")
        }
        #expect(k > 8, "a save has so many operations")
    }
}
