import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct DiskFileTests {
    /// The same vectors give the same bytes with any number of threads, and the copy that an index
    /// saves has them too.
    @Test(arguments: Metric.allCases)
    func theSameVectorsGiveTheSameFile(metric: Metric) async throws {
        let data = ClusteredVectors(count: 4200, queries: 3, dimensions: 9, seed: 1)
        let vectors = data.vectors + data.vectors.prefix(100)
        let storage = SimulatedStorage(seed: 1)
        var saved: [[UInt8]] = []
        for threads in [1, 2, 5] {
            let index = try await DiskIndex.of(
                vectors, dimensions: 9, metric, threads: threads, on: storage)
            saved.append(try await bytes(of: diskPath, on: storage))
            let copy = try StoragePath.root.appending("copy.disk")
            try await index.save(to: copy, on: storage)
            let copied = try await bytes(of: copy, on: storage)
            #expect(copied == saved[0])
            let opened = try await DiskIndex.open(copy, on: storage)
            #expect(opened.calibration == index.calibration && !opened.calibration.points.isEmpty)
            for query in data.queries {
                let found = try opened.search(query, limit: 7, accuracy: .effort(30))
                #expect(try found == index.search(query, limit: 7, accuracy: .effort(30)))
            }
        }
        #expect(saved[1] == saved[0] && saved[2] == saved[0])
        let names = try await storage.entries(of: .root).map(\.name)
        #expect(names == ["copy.disk", "first.disk"])
    }

    /// Whatever operation of a build fails, and wherever the power goes: what is there afterwards is the
    /// index from before or the new one, whole.
    @Test(arguments: [Fault.Problem.inputOutput, .noSpace, .powerCut])
    func aBuildHappensOrDoesNot(problem: Fault.Problem) async throws {
        let data = ClusteredVectors(count: 120, queries: 1, dimensions: 6, seed: 2)
        var k = 0
        var succeeded = false
        while !succeeded {
            k += 1
            let storage = SimulatedStorage(seed: UInt64(k))
            _ = try await DiskIndex.of(
                Array(data.vectors.prefix(60)), dimensions: 6, .l2, on: storage)
            storage.inject(Fault(problem, at: k))
            do {
                _ = try await DiskIndex.of(data.vectors, dimensions: 6, .l2, on: storage)
                succeeded = true
            } catch let error as VectorError { #expect(error.code == .storage, "\(error)") }
            storage.clearFaults()
            storage.crash(.bySeed)
            let found = try await DiskIndex.open(diskPath, on: storage)
            #expect(found.count == (succeeded ? 120 : 60) || found.count == 120, "operation \(k)")
            _ = try await DiskIndex.of(data.vectors, dimensions: 6, .l2, on: storage)
            storage.crash(.dropUnsynced)
            let again = try await DiskIndex.open(diskPath, on: storage)
            #expect(again.count == 120)
        }
        #expect(k > 8, "a build has so many operations")
    }

    /// Searches go on after one that met a damaged page.
    @Test(arguments: [IOPath.uring, .threads])
    func aDamagedPageHurtsOnlyWhoReadsIt(ioPath: IOPath) async throws {
        let root = TemporaryDirectory()
        let storage = try await LinuxStorage.open(root: root.path, .init(ioPath: ioPath))
        let data = ClusteredVectors(count: 1200, queries: 60, dimensions: 24, seed: 4)
        let whole = try await DiskIndex.of(data.vectors, dimensions: 24, .l2, on: storage)
        let expected = try data.queries.map {
            try whole.search($0, limit: 5, accuracy: .effort(10))
        }
        var damaged = try await bytes(of: diskPath, on: storage)
        for page in stride(from: 3, to: whole.pageBytes / 4096, by: 20) {
            damaged[4096 * (page + 1) + 2000] ^= 1
        }
        try await replace(diskPath, with: damaged, on: storage)
        let index = try await DiskIndex.open(diskPath, on: storage)
        var failures = 0
        for (query, expected) in zip(data.queries, expected) {
            do throws(VectorError) {
                let found = try index.search(query, limit: 5, accuracy: .effort(10))
                #expect(found == expected)
            } catch {
                #expect(error.code == .damaged, "\(error)")
                failures += 1
            }
        }
        #expect(failures > 0 && failures < 60, "\(failures)")
        expectError(.damaged, mentions: "checksum") { () throws(VectorError) in
            let batch = Array(data.queries.joined())
            _ = try index.search(batch: batch.span, limit: 5, accuracy: .effort(100))
        }
    }

    /// Each page is whole, and not where it belongs.
    @Test func pagesThatWereExchangedAreNoticed() async throws {
        let storage = SimulatedStorage(seed: 1)
        let data = ClusteredVectors(count: 300, queries: 1, dimensions: 8, seed: 4)
        let index = try await DiskIndex.of(data.vectors, dimensions: 8, .l2, on: storage)
        #expect(index.pageBytes > 2 * 4096)
        var exchanged = try await bytes(of: diskPath, on: storage)
        let (first, second) = (Array(exchanged[4096..<8192]), Array(exchanged[8192..<12288]))
        exchanged.replaceSubrange(4096..<12288, with: second + first)
        try await replace(diskPath, with: exchanged, on: storage)
        let opened = try await DiskIndex.open(diskPath, on: storage)
        expectError(.damaged, mentions: "page 0") { () throws(VectorError) in
            _ = try opened.search(data.queries[0], limit: 3, accuracy: .exact)
        }
    }

    /// Pages whose checksums hold and which say what cannot be.
    @Test func pagesThatMakeNoSenseAreRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let data = ClusteredVectors(count: 60, queries: 1, dimensions: 4, seed: 5)
        let index = try await DiskIndex.of(data.vectors, dimensions: 4, .l2, on: storage)
        let layout = try #require(index.parts?.layout)
        let whole = try await bytes(of: diskPath, on: storage)
        // Where in the first record, and what is written there.
        let forgeries: [(String, Int, [UInt8])] = [
            ("a neighbour out of range", 16, [60, 0, 0, 0]),
            ("a neighbour far out of range", 20, [0xfe, 0xff, 0xff, 0xff]),
            ("a place out of range", 8, [61, 0, 0, 0]),
            ("no vector", 12, [0, 0, 0, 0]),
            ("more vectors than there are", 12, [0xff, 0xff, 0xff, 0xff]),
        ]
        for (what, position, value) in forgeries {
            var records = [UInt8](repeating: 0, count: DiskLayout.payloadBytes)
            records.replaceSubrange(0..., with: whole[4096 + 8..<8192])
            records.replaceSubrange(position..<position + 4, with: value)
            try await replace(diskPath, with: forged(whole, records), on: storage)
            let index = try await DiskIndex.open(diskPath, on: storage)
            for accuracy in [SearchAccuracy.exact, .effort(60)] {
                expectError(.damaged, mentions: "makes no sense") { () throws(VectorError) in
                    _ = try index.search(data.queries[0], limit: 60, accuracy: accuracy)
                }
            }
            #expect(layout.blockCount > 0, "\(what)")
        }
        // Every node leads to itself alone: searches end, and find all.
        var records = [UInt8](whole[4096 + 8..<8192])
        for node in 0..<min(layout.nodesPerBlock, 60) {
            let start = node * layout.nodeBytes + 16
            for edge in 0..<layout.degree {
                records[start + 4 * edge] = UInt8(node)
                records.replaceSubrange(
                    start + 4 * edge + 1..<start + 4 * edge + 4, with: [0, 0, 0])
            }
        }
        try await replace(diskPath, with: forged(whole, records), on: storage)
        let cyclic = try await DiskIndex.open(diskPath, on: storage)
        #expect(try cyclic.search(data.queries[0], limit: 60, accuracy: .effort(60)).count == 60)
    }

    /// The file with other records in its first page.
    private func forged(_ whole: [UInt8], _ records: [UInt8]) -> [UInt8] {
        let page = MemoryBlock(count: 4096)
        records.withUnsafeBytes { DiskLayout.write($0, block: 0, to: page.unsafeMutableBytes) }
        var forged = whole
        forged.replaceSubrange(4096..<8192, with: page.unsafeBytes)
        return forged
    }

    /// Sections whose checksums hold, of numbers that cannot be.
    @Test func aDescriptionThatMakesNoSenseIsRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let data = ClusteredVectors(count: 60, queries: 1, dimensions: 4, seed: 5)
        _ = try await DiskIndex.of(data.vectors, dimensions: 4, .l2, on: storage)
        let whole = try await bytes(of: diskPath, on: storage)
        let header = try MemoryBlock(copying: whole).withHeader()
        let meta = try #require(header["meta"])
        // Where in the section, how many bytes, and what is written there.
        for (position, count, value) in [
            (0, 4, UInt64(UInt32.max)), (0, 4, 0), (0, 4, 5), (4, 1, 9), (5, 1, 3), (8, 4, 1 << 30),
            (8, 4, 18), (12, 4, 0), (24, 8, 61), (24, 8, .max), (24, 8, 0), (32, 8, .max),
            (32, 8, 59),
            (40, 4, 0), (40, 4, 5), (40, 4, 3), (44, 4, 0), (44, 4, 1000), (48, 8, .max),
            (64, 4, 0),
            (64, 4, 100),
        ] as [(Int, Int, UInt64)] {
            var forged = whole
            withUnsafeBytes(of: value.littleEndian) {
                forged.replaceSubrange(
                    meta.position + position..<meta.position + position + count,
                    with: $0.prefix(count))
            }
            let entries = header.entries.map { entry in
                var entry = entry
                if entry.tag == "meta" {
                    entry.checksum = forged.withUnsafeBytes {
                        indexChecksum(
                            .init(rebasing: $0[entry.position..<entry.position + entry.byteCount]))
                    }
                }
                return entry
            }
            forged.replaceSubrange(
                0..<4096, with: IndexHeader(kind: .disk, entries: entries).encoded.unsafeBytes)
            try await replace(diskPath, with: forged, on: storage)
            await expectRefusal(on: storage, "\(value) at \(position)")
        }
    }

    /// An index of another kind is refused by name, and so is this one by others.
    @Test func otherKindsAreRefused() async throws {
        let storage = SimulatedStorage(seed: 1)
        let data = ClusteredVectors(count: 20, queries: 1, dimensions: 3, seed: 6)
        try await data.index(.l2).save(to: diskPath, on: storage)
        await expectRefusal(on: storage, "a graph in memory", .unknownFormat)
        _ = try await DiskIndex.of(data.vectors, dimensions: 3, .l2, on: storage)
        await #expect(throws: VectorError.self) {
            _ = try await HNSWIndex.open(diskPath, on: storage)
        }
    }

    // MARK: Memory

    /// Codes get shorter until the cap is kept, which is refused where they cannot.
    @Test func theCapOfMemoryIsKept() async throws {
        let storage = SimulatedStorage(seed: 1)
        let data = ClusteredVectors(count: 1500, queries: 1, dimensions: 64, seed: 7)
        let configuration = DiskConfiguration(degree: 8, efConstruction: 8)
        let whole = try await DiskIndex.of(
            data.vectors, dimensions: 64, .l2, configuration, on: storage)
        #expect(whole.parts?.products.parts == 32)
        let bytes = whole.bytesAllocated + whole.searchBytes
        var last = whole.bytesAllocated
        for saved in [1, 20_000, 300_000] {
            var capped = configuration
            capped.memoryCapBytes = bytes - saved
            let index = try await DiskIndex.of(
                data.vectors, dimensions: 64, .l2, capped, on: storage)
            #expect(index.bytesAllocated + index.searchBytes <= bytes - saved)
            #expect(index.bytesAllocated < last)
            last = index.bytesAllocated
            #expect(try index.search(data.queries[0], limit: 5).count == 5)
        }
        let cap = 1 << 20
        await #expect(throws: VectorError.self) {
            _ = try await DiskIndex.of(
                data.vectors, dimensions: 64, .l2,
                .init(degree: 8, efConstruction: 8, memoryCapBytes: cap), on: storage)
        }
        await #expect(throws: VectorError.self) {
            _ = try await DiskIndex.open(diskPath, on: storage, memoryCapBytes: cap)
        }
        await #expect(throws: VectorError.self) {
            _ = try await DiskIndex.of(
                data.vectors, dimensions: 64, .l2,
                .init(degree: 8, efConstruction: 8, buildMemoryCapBytes: 1 << 17), on: storage)
        }
    }

    // MARK: Builder

    @Test func theBuilderRefusesWhatMakesNoSense() async throws {
        let storage = SimulatedStorage(seed: 1)
        for configuration in [
            DiskConfiguration(degree: 2), .init(degree: 18), .init(degree: 1000),
            .init(efConstruction: 1), .init(degree: 64, efConstruction: 20),
            .init(memoryCapBytes: 1), .init(buildMemoryCapBytes: -1),
        ] {
            await #expect(throws: VectorError.self) {
                _ = try await DiskBuilder(
                    dimensions: 4, metric: .l2, configuration: configuration, at: diskPath,
                    on: storage)
            }
        }
        await #expect(throws: VectorError.self) {
            _ = try await DiskBuilder(dimensions: 0, metric: .l2, at: diskPath, on: storage)
        }
        var builder = try await DiskBuilder(dimensions: 2, metric: .l2, at: diskPath, on: storage)
        let (good, short, infinite) = (
            [1, 2] as [Float], [1] as [Float], [1, .infinity] as [Float]
        )
        try await builder.append(id: 1, vector: good.span)
        for bad in [short, infinite] {
            do {
                try await builder.append(id: 2, vector: bad.span)
                Issue.record("a vector that makes no sense was taken")
            } catch { #expect([.wrongDimensions, .notFinite].contains(error.code)) }
        }
        #expect(builder.count == 1)
        try await builder.append(id: 1, vector: good.span)
        do {
            _ = try await builder.build()
            Issue.record("an id came twice and was taken")
        } catch { #expect(error.code == .duplicateID) }
    }

    private func expectRefusal(
        on storage: some Storage, _ what: String, _ code: VectorError.Code? = nil
    ) async {
        do throws(VectorError) {
            _ = try await DiskIndex.open(diskPath, on: storage)
            Issue.record("\(what): opened")
        } catch {
            #expect(
                (code.map { [$0] } ?? [.damaged, .unknownFormat]).contains(error.code),
                "\(what): \(error)")
            #expect(error.description.contains("first.disk"), "\(error)")
        }
    }
}

extension MemoryBlock {
    fileprivate func withHeader() throws -> IndexHeader {
        try IndexHeader(checking: unsafeBytes, fileBytes: count, .disk)
    }
}
