import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct HNSWFileTests {
    private let fixture: IndexFileFixture
    private var path: StoragePath { fixture.path }

    init() throws { fixture = try IndexFileFixture("first.hnsw") }

    /// The bytes of one index, on every processor and in every version to come that does not change the
    /// format or the way a graph is built.
    @Test func theBytesAreAlwaysTheSame() async throws {
        let storage = try await fixture.storage()
        var random = SeededGenerator(seed: 4)
        let vectors = (0..<900).map { _ in random.vector(18) }
        for (quantization, reranking, expected) in [
            (Quantization.none, Reranking.f32, 16_491_117_626_397_454_765 as UInt64),
            (.sq8, .f32, 10_997_387_460_213_348_562), (.sq4, .f32, 9_736_258_031_251_739_832),
            (.sq8, .f16, 12_715_366_838_406_858_453),
        ] {
            let index = try HNSWIndex.of(
                vectors, dimensions: 18, .cosine,
                .init(
                    neighbors: 6, efConstruction: 40, quantization: quantization,
                    reranking: reranking), threads: 3)
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
        let old = try HNSWIndex.of(Array(data.vectors.prefix(60)), dimensions: 6, .l2)
        let new = try data.index(.l2)
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
            let found = try await HNSWIndex.open(path, on: storage)
            #expect(found.count == (succeeded ? 120 : 60) || found.count == 120, "operation \(k)")
            // A save that was interrupted is not in the way of the next one.
            try await new.save(to: path, on: storage)
            storage.crash(.dropUnsynced)
            #expect(try await HNSWIndex.open(path, on: storage).count == 120)
        }
        #expect(k > 8, "a save has so many operations")
    }
}
