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

    @Test func aFileThatIsCutIsRefused() async throws {
        let storage = try await fixture.storage()
        let data = ClusteredVectors(count: 40, queries: 1, dimensions: 3, seed: 3)
        try await SealedFlatIndex.of(data.vectors, dimensions: 3, .l2).save(to: path, on: storage)
        let whole = try await fixture.bytes(path, on: storage)
        let lengths = [0, 1, 7, 8, 12, 31, 32, 4095, 4096, 4097, whole.count / 2, whole.count - 1]
        for length in lengths {
            try await fixture.replace(path, with: Array(whole.prefix(length)), on: storage)
            for residency in [IndexResidency.memory, .mapped] {
                await expectRefusal(on: storage, residency, "cut to \(length)")
            }
        }
        try await fixture.replace(path, with: whole + [0], on: storage)
        await expectRefusal(on: storage, .memory, "one byte more")
    }

    /// Each byte of a small file is changed once: the file is refused, or the byte is one of the zeros
    /// between sections that mean nothing.
    @Test func aByteThatIsFlippedIsNoticed() async throws {
        let storage = try await fixture.storage()
        let data = ClusteredVectors(count: 12, queries: 1, dimensions: 2, seed: 3)
        try await SealedFlatIndex.of(data.vectors, dimensions: 2, .cosine)
            .save(to: path, on: storage)
        let whole = try await fixture.bytes(path, on: storage)
        let file = try IndexFile(checking: MemoryBlock(copying: whole), .flat)
        let meaning = file.sections.map(\.bytes.range) + [0..<IndexFile.pageBytes]
        for position in whole.indices where meaning.contains(where: { $0.contains(position) }) {
            var flipped = whole
            flipped[position] ^= 1 << UInt8(position % 8)
            #expect(throws: VectorError.self, "byte \(position)") {
                _ = try IndexFile(checking: MemoryBlock(copying: flipped), .flat)
            }
        }
    }

    /// Sections whose checksums hold but whose numbers are not those of an index: refused by name, or
    /// searched without harm.
    @Test(arguments: ["meta", "quan", "code", "term", "erro", "boun", "rows", "ids "])
    func aSectionThatLiesIsRefusedOrHarmless(tag: String) async throws {
        let storage = try await fixture.storage()
        let data = ClusteredVectors(count: 300, queries: 3, dimensions: 5, seed: 5)
        try await SealedFlatIndex.of(data.vectors, dimensions: 5, .l2)
            .save(to: path, on: storage)
        let whole = try await fixture.bytes(path, on: storage)
        let file = try IndexFile(checking: MemoryBlock(copying: whole), .flat)
        var random = SeededGenerator(seed: 6)
        var refusals = 0
        for round in 0..<150 {
            var bytes = Array(file[tag]!.unsafeBytes)
            switch round {
            case 0: bytes = []
            case 1: bytes.removeLast()
            case 2: bytes.append(0)
            default:
                for _ in 0...round % 4 {
                    let place = Int.random(in: bytes.indices, using: &random)
                    bytes[place] = UInt8.random(in: 0...255, using: &random)
                }
            }
            let sections = file.sections.map {
                $0.tag == tag
                    ? IndexFile.Section(tag: tag, bytes: MemorySlice(MemoryBlock(copying: bytes)))
                    : $0
            }
            do throws(VectorError) {
                let index = try SealedFlatIndex(
                    checking: IndexFile(kind: .flat, sections: sections))
                for query in data.queries where index.dimensions == 5 {
                    #expect(try index.search(query, limit: 4).count == min(4, index.count))
                }
            } catch {
                #expect(error.code == .damaged, "\(error)")
                refusals += 1
            }
            #expect(round > 2 || refusals == round + 1, "a section of another length")
        }
    }

    private func expectRefusal(
        on storage: some Storage, _ residency: IndexResidency, _ what: String
    ) async {
        do throws(VectorError) {
            _ = try await SealedFlatIndex.open(path, on: storage, residency: residency)
            Issue.record("\(what): opened")
        } catch {
            #expect([.damaged, .unknownFormat].contains(error.code), "\(what): \(error)")
            #expect(error.description.contains("first.flat"), "\(error)")
        }
    }
}
