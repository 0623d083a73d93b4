import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct IVFFileTests {
    private let path: StoragePath

    init() throws { path = try StoragePath.root.appending("indexes").appending("first.ivf") }

    private func storage(seed: UInt64 = 1) async throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: seed)
        try await storage.createDirectory(path.parent)
        try await storage.syncDirectory(.root)
        return storage
    }

    private func bytes(_ path: StoragePath, on storage: some Storage) async throws -> [UInt8] {
        let file = try await storage.open(path, .read)
        let block = try await file.read(at: 0, count: try await file.size())
        await file.close()
        return Array(block.unsafeBytes)
    }

    /// Every kind of index is the same after it was saved and opened, and its file has the same bytes.
    @Test(arguments: Metric.allCases, IVFConfiguration.quantizations)
    func anIndexComesBackAsItWas(metric: Metric, quantization: Quantization) async throws {
        let storage = try await storage()
        for (count, keeps, width) in [
            (0, true, nil), (1, true, 3), (300, true, nil), (300, false, 5), (4200, false, nil),
        ] as [(Int, Bool, Int?)] {
            let data = ClusteredVectors(count: count, queries: 4, dimensions: 21, seed: 1)
            let index = try data.lists(
                metric,
                .init(
                    lists: count > 300 ? 30 : 17, quantization: quantization, groupWidth: width,
                    keepsVectors: keeps, seed: 9))
            try await index.save(to: path, on: storage)
            let saved = try await bytes(path, on: storage)
            for residency in [IndexResidency.memory, .mapped] {
                let opened = try await IVFIndex.open(path, on: storage, residency: residency)
                #expect(opened.count == index.count)
                #expect(opened.configuration == index.configuration)
                #expect(opened.metric == metric && opened.dimensions == 21)
                #expect(opened.bytesAllocated == index.bytesAllocated)
                #expect(opened.calibration == index.calibration)
                for query in data.queries {
                    for accuracy in [SearchAccuracy.exact, .effort(5)] {
                        #expect(
                            try opened.search(query, limit: 7, accuracy: accuracy)
                                == index.search(query, limit: 7, accuracy: accuracy))
                    }
                }
                let again = try path.parent.appending("again.ivf")
                try await opened.save(to: again, on: storage)
                #expect(try await bytes(again, on: storage) == saved)
            }
        }
    }

    private func sections(_ quantization: Quantization) async throws -> IndexFile {
        let storage = try await storage()
        let data = ClusteredVectors(count: 90, queries: 1, dimensions: 6, seed: 2)
        try await data.lists(.l2, .init(lists: 7, quantization: quantization))
            .save(to: path, on: storage)
        return try IndexFile(
            checking: MemoryBlock(copying: try await bytes(path, on: storage)), .ivf)
    }

    private func changing(
        _ file: IndexFile, _ tag: String, _ change: (inout [UInt8]) -> Void
    ) -> IndexFile {
        IndexFile(
            kind: .ivf,
            sections: file.sections.map { section in
                guard section.tag == tag else { return section }
                var bytes = Array(section.bytes.unsafeBytes)
                change(&bytes)
                return .init(tag: tag, bytes: .copy(of: bytes))
            })
    }

    private func expectDamaged(_ file: IndexFile, _ words: String) {
        expectError(.damaged, mentions: words) { () throws(VectorError) in
            _ = try IVFIndex(checking: file)
        }
    }

    /// Whoever makes checksums that hold still gets nothing past the counts.
    @Test(arguments: IVFIndex.quantizations)
    func sectionsThatDoNotFitAreRefused(quantization: Quantization) async throws {
        let file = try await sections(quantization)
        #expect(try IVFIndex(checking: file).count == 90)
        for section in file.sections {
            let words = ["rabq", "blck", "bits"].contains(section.tag) ? "RaBitQ" : section.tag
            if section.bytes.count > 0 {
                expectDamaged(changing(file, section.tag) { $0.removeLast() }, words)
            }
            expectDamaged(changing(file, section.tag) { $0.append(0) }, words)
            expectDamaged(
                IndexFile(
                    kind: .ivf, sections: file.sections.filter { $0.tag != section.tag }),
                section.tag)
        }
        // 2^32 dimensions, lists, components to a group; more vectors than there can be.
        for (place, length) in [(0, 4), (8, 4), (12, 4), (24, 8)] {
            expectDamaged(
                changing(file, "meta") {
                    for byte in place..<place + length { $0[byte] = 0xff }
                }, "meta")
        }
        for place in [4, 5, 6] {
            expectDamaged(changing(file, "meta") { $0[place] = 200 }, "meta")
        }
        // Starts that fall, that lead beyond the vectors, that do not begin or end where they have to.
        expectDamaged(changing(file, "strt") { $0[0] = 1 }, "strt")
        expectDamaged(changing(file, "strt") { $0[4 + 3] = 0xff }, "strt")
        expectDamaged(changing(file, "strt") { $0[4 * 3] = 91 }, "strt")
        expectDamaged(changing(file, "strt") { $0[4 * 7] = 89 }, "strt")
        for tag in ["cent", "quan"] where file[tag] != nil {
            expectDamaged(
                changing(file, tag) { $0.replaceSubrange(4..<8, with: [0, 0, 0xc0, 0x7f]) }, tag)
        }
    }

    /// Each bit of what is not codes or vectors is flipped once, under checksums that hold: the file is
    /// refused, or opens as an index whose searches return what they have to.
    @Test(arguments: IVFIndex.quantizations)
    func whateverBytesSaySearchesReturn(quantization: Quantization) async throws {
        let file = try await sections(quantization)
        var random = SeededGenerator(seed: 3)
        var opened = 0
        for _ in 0..<400 {
            let section = file.sections.filter { $0.bytes.count > 0 }
                .randomElement(using: &random)!
            let changed = changing(file, section.tag) { bytes in
                let place = Int.random(in: bytes.indices, using: &random)
                bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            do throws(VectorError) {
                let index = try IVFIndex(checking: changed)
                opened += 1
                let vector = [Float](repeating: 0.25, count: index.dimensions)
                for accuracy in [SearchAccuracy.effort(2), .exact, .recall(0.5)] {
                    let found = try index.search(vector, limit: 10, accuracy: accuracy)
                    #expect(found.count == 10)
                }
            } catch { #expect(error.code == .damaged, "\(error)") }
        }
        #expect(opened > 100)
    }

    /// Whatever operation of a save fails, and wherever the power goes: what is there afterwards is the
    /// index from before or the new one, whole.
    @Test(arguments: [Fault.Problem.inputOutput, .noSpace, .powerCut])
    func aSaveHappensOrDoesNot(problem: Fault.Problem) async throws {
        let data = ClusteredVectors(count: 120, queries: 1, dimensions: 6, seed: 2)
        let few = ClusteredVectors(count: 60, queries: 1, dimensions: 6, seed: 3)
        let configuration = IVFConfiguration(lists: 4, quantization: .pq4, seed: 9)
        let old = try few.lists(.l2, configuration)
        let new = try data.lists(.l2, configuration)
        var k = 0
        var succeeded = false
        while !succeeded {
            k += 1
            let storage = try await storage(seed: UInt64(k))
            try await old.save(to: path, on: storage)
            storage.inject(Fault(problem, at: k))
            do throws(VectorError) {
                try await new.save(to: path, on: storage)
                succeeded = true
            } catch { #expect(error.code == .storage, "\(error)") }
            storage.clearFaults()
            storage.crash(.bySeed)
            let found = try await IVFIndex.open(path, on: storage)
            let whole = found.count == 120 ? new : old
            #expect(found.count == whole.count && (!succeeded || found.count == 120), "\(k)")
            #expect(
                try found.search(data.queries[0], limit: 9, accuracy: .exact)
                    == whole.search(data.queries[0], limit: 9, accuracy: .exact), "\(k)")
        }
        #expect(k > 8, "a save has so many operations")
    }

    @Test func aFileThatIsCutIsRefused() async throws {
        let storage = try await storage()
        let data = ClusteredVectors(count: 40, queries: 1, dimensions: 3, seed: 3)
        try await data.lists(.l2, .init(quantization: .pq4)).save(to: path, on: storage)
        let whole = try await bytes(path, on: storage)
        for length in [0, 1, 8, 31, 4095, 4096, 4097, whole.count / 2, whole.count - 1] {
            #expect(throws: VectorError.self, "\(length)") {
                _ = try IndexFile(
                    checking: MemoryBlock(copying: Array(whole.prefix(length))), .ivf)
            }
        }
        #expect(throws: VectorError.self) {
            _ = try IndexFile(checking: MemoryBlock(copying: whole), .hnsw)
        }
        await #expect(throws: VectorError.self) {
            _ = try await HNSWIndex.open(path, on: storage)
        }
    }
}
