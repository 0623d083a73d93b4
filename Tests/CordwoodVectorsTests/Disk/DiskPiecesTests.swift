import CCordwoodKernels
import CordwoodSimulation
import CordwoodStorage
import Synchronization
import TestSupport
import Testing

@testable import CordwoodVectors

/// Indexes whose graph does not fit into the memory that building may take.
@Suite struct DiskPiecesTests {
    private static let dimensions = 12
    private static let usual = DiskConfiguration(
        degree: 16, efConstruction: 32, memoryCapBytes: 1 << 28, seed: 3)
    /// The longer the lists, the more pieces.
    private static let longLists = DiskConfiguration(
        degree: 40, efConstruction: 32, memoryCapBytes: 1 << 28, seed: 3)

    /// The most memory with which so many vectors make at least so many pieces.
    private func cap(
        for pieces: Int, of count: Int, _ configuration: DiskConfiguration = usual
    ) throws -> Int {
        var (low, high) = (try leastCap(count, configuration), 1 << 30)
        func makes(_ cap: Int) throws -> Bool {
            let plan = try plan(count, cap, configuration)
            return !plan.isWhole && plan.pieceCount(nodes: count) >= pieces
        }
        try #require(try makes(low), "\(count) vectors make fewer pieces with \(low) bytes")
        while high - low > 1 {
            let middle = (low + high) / 2
            if try makes(middle) { low = middle } else { high = middle }
        }
        return low
    }

    private func plan(
        _ count: Int, _ cap: Int, _ configuration: DiskConfiguration
    ) throws(VectorError) -> DiskBuildPlan {
        var configuration = configuration
        configuration.buildMemoryCapBytes = cap
        return try DiskBuildPlan(
            vectors: count, dimensions: Self.dimensions, configuration: configuration)
    }

    /// What the error says that it takes.
    private func leastCap(_ count: Int, _ configuration: DiskConfiguration) throws -> Int {
        do throws(VectorError) {
            _ = try plan(count, DiskConfiguration.memoryCapRange.lowerBound, configuration)
        } catch {
            #expect(error.code == .memoryCap)
            let words = error.detail.split(separator: " ")
            let place = try #require(words.firstIndex(of: "least"))
            return try #require(Int(words[place + 1]))
        }
        return DiskConfiguration.memoryCapRange.lowerBound
    }

    private func configuration(
        cap: Int, _ configuration: DiskConfiguration = usual
    ) -> DiskConfiguration {
        var configuration = configuration
        configuration.buildMemoryCapBytes = cap
        return configuration
    }

    // MARK: What is built

    /// In few pieces and in many: nearly as good as built whole, every node in reach, no list too long, and
    /// the same file with any number of threads.
    @Test(
        arguments: [(.l2, 1), (.l2, 3), (.l2, 20), (.cosine, 7), (.innerProduct, 7)]
            as [(Metric, Int)])
    func isNearlyAsGoodAsBuiltWhole(metric: Metric, pieces: Int) async throws {
        let count = 1500
        let data = ClusteredVectors(
            count: count - 40, queries: 40, dimensions: Self.dimensions, seed: UInt64(pieces))
        let vectors = data.vectors + data.vectors.prefix(40)
        let asked = pieces == 20 ? Self.longLists : Self.usual
        let cap = try cap(for: pieces, of: count, asked)
        let built = try plan(count, cap, asked).pieceCount(nodes: count)
        #expect((pieces...pieces + 3).contains(built))
        let storage = SimulatedStorage(seed: 1)
        let whole = try await DiskIndex.of(
            vectors, dimensions: Self.dimensions, metric, asked, threads: 2, on: storage)
        let flat = try TestIndex(dimensions: Self.dimensions, metric: metric)
        for (number, vector) in vectors.enumerated() { try flat.upsert(UInt64(number), vector) }
        let expected = try data.queries.map { try flat.search($0, limit: 10) }
        func found(_ index: DiskIndex) throws -> Double {
            recall(
                try data.queries.map {
                    try index.search($0, limit: 10, accuracy: .effort(30))
                }, expected)
        }
        let best = try found(whole)
        var files: [[UInt8]] = []
        for threads in pieces == 3 ? [1, 2, 3] : [2] {
            let index = try await DiskIndex.of(
                vectors, dimensions: Self.dimensions, metric, configuration(cap: cap, asked),
                threads: threads, on: storage)
            files.append(try await bytes(of: diskPath, on: storage))
            guard threads == 2 else { continue }
            let recall = try found(index)
            #expect(recall >= best - 0.03 && recall > 0.8, "\(metric): \(recall), whole \(best)")
            let layout = try #require(index.parts?.layout)
            #expect(layout.nodeCount == count - 40)
            try expectReachable(files[files.count - 1], index)
            let limits = try index.search(data.queries[0], limit: count, accuracy: .effort(1))
            #expect(limits.count == count)
        }
        #expect(files.allSatisfy { $0 == files[0] })
        let names = try await storage.entries(of: .root).map(\.name)
        #expect(names == ["first.disk"])
    }

    /// Reads the edges of all records.
    private func expectReachable(_ file: [UInt8], _ index: DiskIndex) throws {
        let layout = try #require(index.parts?.layout)
        let navigation = try #require(index.parts?.navigation)
        var edges: [[Int]] = []
        for node in 0..<layout.nodeCount {
            let start =
                4096 + node / layout.nodesPerBlock * 4096 + DiskLayout.headBytes
                + node % layout.nodesPerBlock * layout.nodeBytes + 16
            let numbers = (0..<layout.degree).map { edge in
                file.withUnsafeBytes { $0.number(start + 4 * edge, UInt32.self) }
            }
            let list = numbers.prefix { $0 != noNode }.map(Int.init)
            #expect(numbers.dropFirst(list.count).allSatisfy { $0 == noNode })
            #expect(Set(list).count == list.count && !list.contains(node), "node \(node): \(list)")
            edges.append(list)
        }
        var open = [Int(navigation.nodes.unsafeBytes.number(0, UInt32.self))]
        var reached = Set(open)
        while let node = open.popLast() {
            for next in edges[node] where reached.insert(next).inserted { open.append(next) }
        }
        #expect(reached.count == layout.nodeCount)
    }

    /// Vectors that k-means cannot divide: few of them, all in one place, and of extreme sizes.
    @Test(arguments: Metric.allCases)
    func whateverTheVectorsAre(metric: Metric) async throws {
        var random = SeededGenerator(seed: 4)
        let count = 600
        let line = (0..<count).map { [Float($0)] + [Float](repeating: 0, count: 11) }
        let place = (0..<count).map { _ in random.vector(12).map { 1 + 1e-6 * $0 } }
        let extreme = (0..<count).map { number in
            random.vector(12).map { $0 * (number % 2 == 0 ? 3e38 : 1e-38) }
        }
        for vectors in [line, place, extreme] {
            let storage = SimulatedStorage(seed: 1)
            let index = try await DiskIndex.of(
                vectors, dimensions: 12, metric, configuration(cap: try cap(for: 5, of: count)),
                on: storage)
            let found = try index.search(vectors[3], limit: 10, accuracy: .effort(60))
            #expect(found.count == 10 && Set(found.map(\.id)).count == 10)
            try expectReachable(try await bytes(of: diskPath, on: storage), index)
        }
    }

    // MARK: Memory

    /// The error says what it takes, and with that it is built; with a byte less it is refused.
    @Test func theLeastCapIsNamed() async throws {
        let count = 800
        let data = ClusteredVectors(
            count: count, queries: 1, dimensions: Self.dimensions, seed: 5)
        let least = try leastCap(count, Self.usual)
        let storage = SimulatedStorage(seed: 1)
        await expectVectorError(.memoryCap, mentions: "at least \(least) bytes") {
            () async throws(VectorError) in
            _ = try await build(data.vectors, self.configuration(cap: least - 1), on: storage)
        }
        #expect(try await storage.entries(of: .root).isEmpty)
        _ = try await build(data.vectors, configuration(cap: least), on: storage)
        let plan = try plan(count, least, Self.usual)
        #expect(!plan.isWhole && plan.pieceCount(nodes: count) > 1)
    }

    /// Whatever the vectors and the cap, what a piece takes with all that is there beside it is within the
    /// cap, each node has two different pieces, and none is too large.
    @Test func piecesKeepTheCap() throws {
        for seed in seeds(8) {
            var random = SeededGenerator(seed: seed)
            let count = Int.random(in: 700...1500, using: &random)
            let least = try leastCap(count, Self.usual)
            let cap = Int.random(in: least...least * 5 / 4, using: &random)
            let plan = try plan(count, cap, Self.usual)
            guard !plan.isWhole else { continue }
            // Most are in one place, as large as a piece several times over.
            let spread: Float = random.next() % 2 == 0 ? 0.01 : 1
            let vectors = (0..<count).map { number in
                random.vector(Self.dimensions).map { number % 8 == 0 ? $0 : 3 + spread * $0 }
            }
            let metric = Metric.allCases.randomElement(using: &random)!
            let rows = diskRows(vectors, metric)
            let order = NodeOrder(
                representatives: (0..<UInt32(count)).map { $0 },
                neighbors: plan.nodesPerNavigated, seed: seed)
            let pieces = plan.pieceCount(nodes: count)
            let partition = try PieceDivision(
                rows: rows, order: order, pieceCount: pieces, capacity: plan.pieceCapacity,
                sampleSize: plan.sampleSize(pieces: pieces), threads: 2, isCancelled: { false }
            ).run()
            var places = [Int](repeating: 0, count: count)
            for number in 0..<pieces {
                let piece = GraphPiece(partition.members(of: number), order)
                #expect(piece.members.count <= plan.pieceCapacity, "seed \(seed)")
                for member in piece.members { places[Int(member)] += 1 }
                let shape = GraphShape(counts: piece.levelCounts, degree: 16)
                let taken =
                    piece.members.count * (Self.dimensions + 20 + 4) + shape.byteCount
                    + 20 * count + 3 * plan.chunkBytes
                #expect(taken <= cap, "seed \(seed): \(taken) of \(cap) bytes")
            }
            #expect(places.allSatisfy { $0 == 2 }, "seed \(seed)")
        }
    }

    private func diskRows(_ vectors: [[Float]], _ metric: Metric) -> DiskRows {
        let shape = DiskRows.Shape(dimensions: Self.dimensions, metric: metric)
        let block = MemoryBlock(count: vectors.count * shape.rowBytes)
        for (number, vector) in vectors.enumerated() {
            let row = block.unsafeMutableBytes.baseAddress! + number * shape.rowBytes
            shape.write(vector, to: row.assumingMemoryBound(to: Float.self))
        }
        return DiskRows(
            shape: shape, bytes: block, checksum: indexChecksum(block.unsafeBytes))
    }

    // MARK: Failures

    /// Whatever operation fails, and wherever the power goes: the index from before is there or the new
    /// one, and nothing else once the error was told or the next index is built.
    @Test(arguments: [Fault.Problem.inputOutput, .noSpace, .powerCut])
    func aBuildHappensOrDoesNot(problem: Fault.Problem) async throws {
        let count = 200
        let data = ClusteredVectors(
            count: count, queries: 1, dimensions: Self.dimensions, seed: 6)
        let configuration = configuration(cap: try cap(for: 3, of: count))
        // Each operation has one of the problems.
        let problems = [Fault.Problem.inputOutput, .noSpace, .powerCut]
        var k = try #require(problems.firstIndex(of: problem))
        var succeeded = false
        while !succeeded {
            k += problems.count
            let storage = SimulatedStorage(seed: UInt64(k))
            _ = try await build(Array(data.vectors.prefix(30)), Self.usual, on: storage)
            storage.inject(Fault(problem, at: k))
            do throws(VectorError) {
                _ = try await build(data.vectors, configuration, on: storage)
                succeeded = true
            } catch { #expect(error.code == .storage, "\(error)") }
            storage.clearFaults()
            if problem != .powerCut {
                let names = try await storage.entries(of: .root).map(\.name)
                // What could not be removed, or what a builder began with that was never made.
                #expect(
                    names.first == "first.disk" && names.count <= 2, "operation \(k): \(names)")
            }
            storage.crash(.bySeed)
            let found = try await DiskIndex.open(diskPath, on: storage)
            #expect(
                found.count == (succeeded ? count : 30) || found.count == count, "operation \(k)")
            guard k % 4 == 0 || succeeded else { continue }
            _ = try await build(Array(data.vectors.prefix(31)), Self.usual, on: storage)
            #expect(try await storage.entries(of: .root).map(\.name) == ["first.disk"])
        }
        #expect(k > 20, "a build in pieces has so many operations, found \(k)")
    }

    /// It ends soon after it was told to, wherever it is, and leaves nothing.
    @Test func aBuildThatIsCancelledLeavesNothing() async throws {
        let data = ClusteredVectors(count: 500, queries: 1, dimensions: Self.dimensions, seed: 7)
        let configuration = configuration(cap: try cap(for: 4, of: 500))
        var asked = 0
        for allowed in [0, 1, 2, 5, 20, 100, 200, 300, 400] {
            let storage = SimulatedStorage(seed: 1)
            let count = Mutex(0)
            do throws(VectorError) {
                _ = try await build(data.vectors, configuration, on: storage) {
                    count.withLock { count in
                        count += 1
                        return count > allowed
                    }
                }
                #expect(allowed > 100)
            } catch {
                #expect(error.code == .cancelled, "\(error)")
                #expect(try await storage.entries(of: .root).isEmpty)
                asked = allowed
            }
        }
        #expect(asked >= 20)
    }

    /// Nodes are counted once, though each is in two pieces.
    @Test func progressEndsWithAllNodes() async throws {
        let data = ClusteredVectors(count: 500, queries: 1, dimensions: Self.dimensions, seed: 8)
        let told = Mutex([0])
        let storage = SimulatedStorage(seed: 1)
        var builder = try await DiskBuilder(
            dimensions: Self.dimensions, metric: .l2,
            configuration: configuration(cap: try cap(for: 4, of: 500)), at: diskPath, on: storage)
        for (number, vector) in data.vectors.enumerated() {
            try await builder.append(id: UInt64(number), vector: vector.span)
        }
        _ = try await builder.build(
            threads: 2, progress: { nodes in told.withLock { $0.append(nodes) } })
        let numbers = told.withLock { $0 }
        #expect(numbers.last == 500 && zip(numbers, numbers.dropFirst()).allSatisfy(<=))
        #expect(numbers.count > 8)
    }

    /// What a crash left is gone once the next index is built, in whichever way.
    @Test func whatWasLeftBehindIsRemoved() async throws {
        let storage = SimulatedStorage(seed: 1)
        for file in BuildFile.allCases {
            try await replace(file.path(beside: diskPath), with: [1, 2, 3], on: storage)
        }
        let data = ClusteredVectors(count: 40, queries: 1, dimensions: Self.dimensions, seed: 9)
        _ = try await build(data.vectors, Self.usual, on: storage)
        #expect(try await storage.entries(of: .root).map(\.name) == ["first.disk"])
    }

    /// A section that is read back as something else is an error.
    @Test func aDamagedSectionIsNoticed() async throws {
        let storage = SimulatedStorage(seed: 1)
        var file = try await PieceFile(beside: diskPath, on: storage)
        let numbers = (0..<3000).map { UInt32($0) }
        var section = file.beginSection()
        try await file.append(.copy(of: numbers), to: &section)
        var second = file.beginSection()
        try await file.append(.copy(of: Array(numbers.prefix(1500))), to: &second)
        try await file.append(.copy(of: Array(numbers.dropFirst(1500))), to: &second)
        for section in [section, second] {
            let mapped = try await file.map(section)
            try mapped.check()
            #expect(mapped.bytes.count == 12_000)
            var reading = PieceReading(section)
            let parts = [
                try await file.read(4000, from: &reading),
                try await file.read(8000, from: &reading),
            ]
            let read = parts.flatMap {
                $0.withBytes { bytes in
                    (0..<bytes.byteCount / 4).map {
                        bytes.unsafeLoadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)
                    }
                }
            }
            #expect(read == numbers)
        }
        try storage.flip(BuildFile.pieces.path(beside: diskPath), byte: 4001)
        let damaged = try await file.map(section)
        expectError(.storage, mentions: "not what was written") { () throws(VectorError) in
            try damaged.check()
        }
        var reading = PieceReading(section)
        await expectVectorError(.storage, mentions: "not what was written") {
            () async throws(VectorError) in
            _ = try await file.read(12_000, from: &reading)
        }
        await file.close()
    }

    private func build(
        _ vectors: [[Float]], _ configuration: DiskConfiguration, on storage: some Storage,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) async throws(VectorError) -> DiskIndex {
        var builder = try await DiskBuilder(
            dimensions: Self.dimensions, metric: .l2, configuration: configuration, at: diskPath,
            on: storage)
        for (number, vector) in vectors.enumerated() {
            try await builder.append(id: UInt64(number), vector: vector.span)
        }
        return try await builder.build(isCancelled: isCancelled)
    }

    private func expectVectorError(
        _ code: VectorError.Code, mentions text: String,
        _ body: () async throws(VectorError) -> Void
    ) async {
        do throws(VectorError) {
            try await body()
            Issue.record("no error")
        } catch {
            #expect(error.code == code && error.description.contains(text), "\(error)")
        }
    }
}
