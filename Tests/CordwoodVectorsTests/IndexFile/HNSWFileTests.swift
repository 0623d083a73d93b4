import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct HNSWFileTests {
    private let fixture: IndexFileFixture
    private var path: StoragePath { fixture.path }

    init() throws { fixture = try IndexFileFixture("first.hnsw") }

    /// Every kind of index is the same after it was saved and opened, and its file has the same bytes.
    @Test(arguments: Metric.allCases, HNSWConfiguration.quantizations)
    func anIndexComesBackAsItWas(metric: Metric, quantization: Quantization) async throws {
        let storage = try await fixture.storage()
        for (count, reranking) in [
            (0, Reranking.f32), (1, .f32), (300, .f32), (300, .none), (300, .f16),
        ] {
            let data = ClusteredVectors(count: count, queries: 10, dimensions: 21, seed: 1)
            let vectors = data.vectors + data.vectors.prefix(count / 10)
            let index = try HNSWIndex.of(
                vectors, dimensions: 21, metric,
                .init(neighbors: 4, quantization: quantization, reranking: reranking, seed: 9))
            try await index.save(to: path, on: storage)
            let saved = try await fixture.bytes(path, on: storage)
            for residency in [IndexResidency.memory, .mapped] {
                let opened = try await HNSWIndex.open(path, on: storage, residency: residency)
                #expect(opened.count == index.count && opened.nodeCount == index.nodeCount)
                #expect(opened.configuration == index.configuration)
                #expect(opened.metric == metric && opened.dimensions == 21)
                #expect(opened.bytesAllocated == index.bytesAllocated)
                for query in data.queries {
                    for accuracy in [SearchAccuracy.exact, .effort(20)] {
                        #expect(
                            try opened.search(query, limit: 7, accuracy: accuracy)
                                == index.search(query, limit: 7, accuracy: accuracy))
                    }
                }
                let again = try path.parent.appending("again.hnsw")
                try await opened.save(to: again, on: storage)
                #expect(try await fixture.bytes(again, on: storage) == saved)
            }
        }
    }

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

    @Test func aFileThatIsCutIsRefused() async throws {
        let storage = try await fixture.storage()
        let data = ClusteredVectors(count: 40, queries: 1, dimensions: 3, seed: 3)
        try await data.index(.l2).save(to: path, on: storage)
        let whole = try await fixture.bytes(path, on: storage)
        let lengths = [0, 1, 7, 8, 12, 31, 32, 4095, 4096, 4097, whole.count / 2, whole.count - 1]
        for length in lengths {
            try await fixture.replace(path, with: Array(whole.prefix(length)), on: storage)
            for residency in [IndexResidency.memory, .mapped] {
                await expectRefusal(path, on: storage, residency, "cut to \(length)")
            }
        }
        try await fixture.replace(path, with: whole + [0], on: storage)
        await expectRefusal(path, on: storage, .memory, "one byte more")
    }

    /// Each byte of a small file is changed once: the file is refused, or the byte is one of the zeros
    /// between sections that mean nothing.
    @Test func aByteThatIsFlippedIsNoticed() async throws {
        let storage = try await fixture.storage()
        let data = ClusteredVectors(count: 12, queries: 1, dimensions: 2, seed: 3)
        try await data.index(.cosine, .init(neighbors: 2, efConstruction: 8))
            .save(to: path, on: storage)
        let whole = try await fixture.bytes(path, on: storage)
        let file = try IndexFile(checking: MemoryBlock(copying: whole), .hnsw)
        let meaning = file.sections.map(\.bytes.range) + [0..<IndexFile.pageBytes]
        for position in whole.indices where meaning.contains(where: { $0.contains(position) }) {
            var flipped = whole
            flipped[position] ^= 1 << UInt8(position % 8)
            #expect(throws: VectorError.self, "byte \(position)") {
                _ = try IndexFile(checking: MemoryBlock(copying: flipped), .hnsw)
            }
        }
    }

    private func expectRefusal(
        _ path: StoragePath, on storage: some Storage, _ residency: IndexResidency,
        _ what: String
    ) async {
        do throws(VectorError) {
            _ = try await HNSWIndex.open(path, on: storage, residency: residency)
            Issue.record("\(what): opened")
        } catch {
            #expect([.damaged, .unknownFormat].contains(error.code), "\(what): \(error)")
            #expect(error.description.contains("first.hnsw"), "\(error)")
        }
    }
}
