import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

private let path = try! StoragePath.root.appending("saved.vectors")
private let again = try! StoragePath.root.appending("again.vectors")

extension KindOfIndex {
    /// The bytes of the file of an index.
    func file(of index: any VectorIndex) async throws -> [UInt8] {
        let storage = SimulatedStorage(seed: 1)
        try await index.save(to: path, on: storage)
        return try await bytes(of: path, on: storage)
    }

    /// An index by the bytes of its file.
    func opened(
        _ file: [UInt8], _ residency: IndexResidency = .memory
    ) async throws -> any VectorIndex {
        let storage = SimulatedStorage(seed: 1)
        try await replace(path, with: file, on: storage)
        return try await open(path, on: storage, residency)
    }

    /// A small index of each structure, of vectors that fill a few pages.
    static let small = withFiles.filter {
        switch $0.structure {
        case .rows: false
        case .flat(let flat): flat.quantization == .sq8 && flat.reranking == .f32
        case .graph(let graph): graph.quantization == .sq4 && graph.reranking == .f16
        case .lists(let lists): [.pq4, .rabitq].contains(lists.quantization) && lists.keepsVectors
        case .disk: true
        }
    }

    fileprivate func smallFile() async throws -> [UInt8] {
        let data = ClusteredVectors(count: 20, queries: 1, dimensions: 3, seed: 3)
        let index = try await index(
            of: data.vectors + data.vectors.prefix(3), dimensions: 3, .cosine)
        return try await file(of: index)
    }

    var fileKind: IndexFile.Kind {
        switch structure {
        case .rows, .flat: .flat
        case .graph: .hnsw
        case .lists: .ivf
        case .disk: .disk
        }
    }
}

@Suite struct RepeatableBuildTests {
    /// The same vectors in the same order give the same file with any number of threads.
    @Test(arguments: KindOfIndex.withFiles)
    func sameVectorsSameBytes(kind: KindOfIndex) async throws {
        let data = ClusteredVectors(count: 1300, queries: 1, dimensions: 5, seed: 1)
        let vectors = data.vectors + data.vectors.prefix(20)
        var files: [[UInt8]] = []
        for threads in [1, 3] {
            let index = try await kind.index(
                of: vectors, dimensions: 5, .cosine, threads: threads)
            files.append(try await kind.file(of: index))
        }
        #expect(files[0] == files[1])
    }

    /// A graph of more batches, which grow; another seed gives another one.
    @Test(arguments: Metric.allCases)
    func sameSeedSameGraph(metric: Metric) async throws {
        let data = ClusteredVectors(count: 3000, queries: 1, dimensions: 10, seed: 1)
        var files: [[UInt8]] = []
        for (threads, seed) in [(1, 0), (2, 0), (8, 0), (2, 1)] as [(Int, UInt64)] {
            let index = try data.index(metric, .init(seed: seed), threads: threads)
            files.append(try await KindOfIndex.graphs[0].file(of: index))
        }
        #expect(files[0] == files[1] && files[0] == files[2] && files[0] != files[3])
    }
}

@Suite struct IndexFileTests {
    /// An index that is opened finds what the one found that was saved, and is saved as the same bytes.
    @Test(arguments: KindOfIndex.withFiles, Metric.allCases)
    func anIndexComesBackAsItWas(kind: KindOfIndex, metric: Metric) async throws {
        for vectors in [[], [[1, 2]]] as [[[Float]]] {
            let index = try await kind.index(of: vectors, dimensions: 2, metric)
            let file = try await kind.file(of: index)
            let opened = try await kind.opened(file)
            #expect(opened.ids == index.ids && opened.dimensions == 2 && opened.metric == metric)
            #expect(try await kind.file(of: opened) == file)
        }
        for dimensions in [1, 50] {
            let searched = try await SearchedIndex.of(kind, metric, dimensions: dimensions)
            let (data, index) = (searched.data, searched.index)
            let file = try await kind.file(of: index)
            let filter = index.places { $0 % 3 != 0 }
            for residency in [IndexResidency.memory, .mapped] {
                let opened = try await kind.opened(file, residency)
                #expect(opened.ids == index.ids && opened.metric == metric)
                #expect(opened.dimensions == dimensions)
                #expect(opened.bytesAllocated == index.bytesAllocated)
                for accuracy in [SearchAccuracy.effort(9), .exact] {
                    for allowed in [nil, filter] {
                        #expect(
                            try opened.found(batch: data.queries, 9, accuracy, allowing: allowed)
                                == index.found(batch: data.queries, 9, accuracy, allowing: allowed)
                        )
                    }
                }
                #expect(try await kind.file(of: opened) == file)
            }
        }
    }

    /// A file that is cut anywhere is refused by name, and so is one that is longer than it was.
    @Test(arguments: KindOfIndex.small)
    func aFileThatIsCutIsRefused(kind: KindOfIndex) async throws {
        let file = try await kind.smallFile()
        for length in 0..<file.count {
            do throws(VectorError) {
                _ = try header(of: Array(file[..<length]), kind)
                Issue.record("cut to \(length): taken")
            } catch { #expect([.damaged, .unknownFormat].contains(error.code), "\(error)") }
        }
        for length in [0, 1, 4095, 4096, file.count / 2, file.count - 1] {
            await expectRefusal(kind, Array(file[..<length]), "cut to \(length)")
        }
        await expectRefusal(kind, file + [0], "one byte more")
    }

    /// Any byte of a file is another: it is refused, or the search that reads it says so, or the byte is one
    /// of the zeros between sections, and searches find what they found.
    @Test(arguments: KindOfIndex.small)
    func aByteThatIsFlippedIsNoticed(kind: KindOfIndex) async throws {
        let file = try await kind.smallFile()
        let header = try header(of: file, kind)
        let query: [Float] = [0.3, -0.2, 0.9]
        let expected = try await kind.opened(file).found(query, 23, .exact)
        let sections = header.entries.map { $0.position..<$0.position + $0.byteCount }
        for place in file.indices {
            let hasMeaning =
                place < IndexHeader.pageBytes || sections.contains { $0.contains(place) }
            var flipped = file
            flipped[place] ^= 1 << UInt8(place % 8)
            // What has a checksum as a whole need not be opened for it, of the zeros one in some is enough,
            // and of pages one in three bytes.
            if kind.fileKind != .disk, hasMeaning {
                #expect(throws: VectorError.self, "byte \(place)") {
                    _ = try IndexFile(checking: MemoryBlock(copying: flipped), kind.fileKind)
                }
                continue
            }
            guard place % (hasMeaning ? 3 : 101) == 0 else { continue }
            do {
                let index = try await kind.opened(flipped)
                let found = try index.found(query, 23, .exact)
                #expect(!hasMeaning && found == expected, "byte \(place)")
            } catch let error as VectorError {
                #expect([.damaged, .unknownFormat].contains(error.code), "\(place): \(error)")
            }
        }
    }

    private func header(
        of file: [UInt8], _ kind: KindOfIndex
    ) throws(VectorError) -> IndexHeader {
        let block = MemoryBlock(copying: file)
        defer { withExtendedLifetime(block) {} }
        return try IndexHeader(
            checking: block.unsafeBytes, fileBytes: file.count, kind.fileKind)
    }

    private func expectRefusal(_ kind: KindOfIndex, _ file: [UInt8], _ what: String) async {
        do {
            _ = try await kind.opened(file)
            Issue.record("\(what): opened")
        } catch let error as VectorError {
            #expect([.damaged, .unknownFormat].contains(error.code), "\(what): \(error)")
            #expect(error.description.contains("saved.vectors"), "\(error)")
        } catch { Issue.record("\(what): \(error)") }
    }
}
