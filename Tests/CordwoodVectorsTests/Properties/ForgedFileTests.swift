import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

/// Files whose checksums hold and whose numbers are not those of an index: refused as damaged, or searched
/// without harm.
@Suite struct ForgedFileTests {
    /// The sections of a small index.
    private func sections(of kind: KindOfIndex) async throws -> [IndexFile.Section] {
        let data = ClusteredVectors(count: 60, queries: 1, dimensions: 5, seed: 2)
        let index = try await kind.index(
            of: data.vectors + data.vectors.prefix(7), dimensions: 5, .l2)
        let block = MemoryBlock(copying: try await kind.file(of: index))
        return try IndexFile(checking: block, kind.fileKind).sections
    }

    /// Opens them, changed in a way, and searches in every way. Returns whether they were taken.
    private func isTaken(
        _ kind: KindOfIndex, _ sections: [IndexFile.Section], _ what: String
    ) throws -> Bool {
        do throws(VectorError) {
            let file = IndexFile(kind: kind.fileKind, sections: sections)
            let index: any VectorIndex =
                switch kind.fileKind {
                case .hnsw: try HNSWIndex(checking: file)
                case .ivf: try IVFIndex(checking: file)
                case .flat, .disk: try SealedFlatIndex(checking: file)
                }
            let query = [Float](repeating: 0.25, count: index.dimensions)
            var allowed = VectorBitmap(count: index.count)
            for place in stride(from: 0, to: index.count, by: 3) { allowed[place] = true }
            for accuracy in [SearchAccuracy.effort(1), .effort(20), .recall(0.5), .exact] {
                let found = try index.found(query, 10, accuracy)
                #expect(found.count == min(10, index.count), "\(what), \(accuracy)")
                let filtered = try index.found(query, 10, accuracy, allowing: allowed)
                #expect(filtered.count == min(10, allowed.setCount), "\(what), \(accuracy)")
            }
            return true
        } catch {
            #expect(error.code == .damaged, "\(what): \(error)")
            return false
        }
    }

    private func changing(
        _ sections: [IndexFile.Section], _ tag: String, _ change: (inout [UInt8]) -> Void
    ) -> [IndexFile.Section] {
        sections.map { section in
            guard section.tag == tag else { return section }
            var bytes = Array(section.bytes.unsafeBytes)
            change(&bytes)
            return .init(tag: tag, bytes: .copy(of: bytes))
        }
    }

    private static let inMemory = KindOfIndex.withFiles.filter { $0 != .disk }

    /// A section is missing, or one byte shorter or longer.
    @Test(arguments: inMemory)
    func sectionsOfOtherLengthsAreRefused(kind: KindOfIndex) async throws {
        let sections = try await sections(of: kind)
        #expect(try isTaken(kind, sections, "as it was"))
        for section in sections {
            let tag = section.tag
            let without = sections.filter { $0.tag != tag }
            #expect(try !isTaken(kind, without, "without \(tag)"))
            #expect(try !isTaken(kind, changing(sections, tag) { $0.append(0) }, "longer \(tag)"))
            guard section.bytes.count > 0 else { continue }
            #expect(
                try !isTaken(kind, changing(sections, tag) { $0.removeLast() }, "shorter \(tag)"))
            #expect(
                try !isTaken(kind, changing(sections, tag) { $0.removeAll() }, "empty \(tag)"))
        }
    }

    /// Each byte of the description is, in turn, every one of these; among them are 2^32 - 1 dimensions,
    /// levels and lists, and none.
    @Test(arguments: inMemory)
    func aDescriptionThatLies(kind: KindOfIndex) async throws {
        let sections = try await sections(of: kind)
        let meta = try #require(sections.first { $0.tag == "meta" }).bytes.count
        for place in 0..<meta {
            for value in [0, 1, 2, 3, 4, 0x7f, 0x80, 0xff] as [UInt8] {
                let changed = changing(sections, "meta") { $0[place] = value }
                _ = try isTaken(kind, changed, "\(value) at \(place)")
            }
            for value in [0, 0xff] as [UInt8] where place + 4 <= meta && place % 4 == 0 {
                let changed = changing(sections, "meta") {
                    for byte in place..<place + 4 { $0[byte] = value }
                }
                _ = try isTaken(kind, changed, "\(value) four times at \(place)")
            }
        }
        #expect(
            try !isTaken(
                kind,
                changing(sections, "meta") {
                    $0.replaceSubrange(0..<4, with: [255, 255, 255, 255])
                },
                "2^32 - 1 dimensions"))
    }

    /// Some bytes of any section are others, in all ways that a seed gives.
    @Test(arguments: inMemory)
    func sectionsThatLie(kind: KindOfIndex) async throws {
        let sections = try await sections(of: kind)
        var random = SeededGenerator(seed: 3)
        var taken = 0
        for section in sections where section.bytes.count > 0 {
            for round in 0..<20 {
                let changed = changing(sections, section.tag) { bytes in
                    for _ in 0...round % 3 {
                        let place = Int.random(in: bytes.indices, using: &random)
                        bytes[place] = UInt8.random(in: 0...255, using: &random)
                    }
                }
                if try isTaken(kind, changed, "\(section.tag), round \(round)") { taken += 1 }
            }
        }
        #expect(taken > 0)
    }

    /// Levels without a node, in sections that are as long as that makes them.
    @Test(arguments: KindOfIndex.graphs)
    func levelsOfNoNodesAreRefused(kind: KindOfIndex) async throws {
        let levelCount = 32
        let levels = 48
        let sections = try await sections(of: kind)
        var without = changing(sections, "meta") {
            $0[levelCount] = 1
            $0.replaceSubrange(levels..., with: [0, 0, 0, 0])
        }
        for tag in ["edge", "rows", "exac"] {
            without = changing(without, tag) { $0.removeAll() }
        }
        without = changing(without, "strt") { $0.removeLast($0.count - 4) }
        #expect(try !isTaken(kind, without, "no nodes at all"))
        let above = changing(sections, "meta") {
            $0[levelCount] += 1
            $0 += [0, 0, 0, 0]
        }
        #expect(try !isTaken(kind, above, "no nodes in a level above"))
    }

    /// A neighbour that is not there is refused; a graph that leads in a circle, nowhere, or to one node
    /// alone is walked to its end, and all is found.
    @Test(arguments: KindOfIndex.graphs)
    func edgesThatLie(kind: KindOfIndex) async throws {
        let sections = try await sections(of: kind)
        let edges = try #require(sections.first { $0.tag == "edge" }).bytes.count / 4
        for target in [60, 61, 1 << 24, 1 << 31 - 1, 1 << 31, .max - 1] as [UInt32] {
            for place in [0, 1, 15, edges / 2] {
                let changed = changing(sections, "edge") { bytes in
                    withUnsafeBytes(of: target.littleEndian) {
                        bytes.replaceSubrange(4 * place..<4 * place + 4, with: $0)
                    }
                }
                #expect(try !isTaken(kind, changed, "\(target) at \(place)"))
            }
        }
        // Sixty nodes of sixteen edges each are on the lowest level, which comes first.
        let shapes: [(String, (Int, Int) -> UInt32)] = [
            ("a circle", { node, edge in edge == 0 ? UInt32((node + 1) % 60) : noNode }),
            ("each to itself", { node, _ in UInt32(node) }),
            ("all to the first", { _, _ in 0 }),
            ("nowhere", { _, _ in noNode }),
        ]
        for (what, target) in shapes {
            let changed = changing(sections, "edge") { bytes in
                for node in 0..<60 {
                    for edge in 0..<16 {
                        let place = 4 * (16 * node + edge)
                        withUnsafeBytes(of: target(node, edge).littleEndian) {
                            bytes.replaceSubrange(place..<place + 4, with: $0)
                        }
                    }
                }
            }
            #expect(try isTaken(kind, changed, what), "\(what)")
        }
    }
}
