import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodVectors

/// A kind of index with a way to keep vectors: what the properties are tested over.
struct KindOfIndex: Sendable, Hashable, CustomTestStringConvertible {
    enum Structure: Sendable, Hashable {
        /// The rows of a ``FlatIndex``, through ``FlatRows``.
        case rows
        case flat(SealedFlatConfiguration)
        case graph(HNSWConfiguration)
        case lists(IVFConfiguration)
        case disk(DiskConfiguration)
    }

    var structure: Structure

    init(_ structure: Structure) { self.structure = structure }

    static let flat =
        [KindOfIndex(.rows)]
        + SealedFlatConfiguration.quantizations.flatMap { quantization in
            SealedFlatConfiguration.rerankings.map {
                KindOfIndex(.flat(.init(quantization: quantization, reranking: $0)))
            }
        }

    static let graphs =
        [graph(.none, .none)]
        + [Quantization.sq8, .sq4].flatMap { quantization in
            Reranking.allCases.map { graph(quantization, $0) }
        }

    static let lists = IVFIndex.quantizations.flatMap { quantization in
        (quantization == .none ? [true] : [true, false]).map {
            KindOfIndex(
                .lists(.init(lists: 24, quantization: quantization, keepsVectors: $0, seed: 5)))
        }
    }

    static let disk = KindOfIndex(.disk(.small))

    static let all = flat + graphs + lists + [disk]

    private static func graph(_ quantization: Quantization, _ reranking: Reranking) -> KindOfIndex {
        KindOfIndex(
            .graph(
                .init(
                    neighbors: 8, efConstruction: 60, quantization: quantization,
                    reranking: reranking, seed: 5)))
    }

    var testDescription: String {
        switch structure {
        case .rows: "rows"
        case .flat(let flat): "flat, \(flat.quantization), \(flat.reranking)"
        case .graph(let graph): "graph, \(graph.quantization), \(graph.reranking)"
        case .lists(let lists):
            "lists, \(lists.quantization)\(lists.keepsVectors ? "" : ", no vectors")"
        case .disk: "disk"
        }
    }

    // MARK: What it promises

    /// What distances are computed of in the end.
    var kept: Reranking {
        switch structure {
        case .rows, .disk: .f32
        case .flat(let flat): flat.reranking
        case .graph(let graph): graph.quantization == .none ? .f32 : graph.reranking
        case .lists(let lists): lists.hasExactRows ? .f32 : .none
        }
    }

    /// Whatever is asked for, all vectors are searched.
    var isAlwaysExact: Bool {
        switch structure {
        case .rows, .flat: true
        case .graph, .lists, .disk: false
        }
    }

    var quantization: Quantization {
        switch structure {
        case .rows: .none
        case .flat(let flat): flat.quantization
        case .graph(let graph): graph.quantization
        case .lists(let lists): lists.quantization
        case .disk: .pq8
        }
    }

    // MARK: Making and opening

    /// An index of vectors with these ids. Before each of them the builder is given the `refused`, which
    /// it is to refuse.
    func index(
        of vectors: [[Float]], ids: [UInt64], dimensions: Int, _ metric: Metric, threads: Int = 1,
        refused: [[Float]] = [], on storage: SimulatedStorage = SimulatedStorage(seed: 1)
    ) async throws -> any VectorIndex {
        let given = Given(vectors: vectors, ids: ids, refused: refused)
        switch structure {
        case .rows:
            return try given.index(
                FlatRowsBuilder(dimensions: dimensions, metric: metric), threads: threads)
        case .flat(let configuration):
            return try given.index(
                SealedFlatBuilder(
                    dimensions: dimensions, metric: metric, configuration: configuration),
                threads: threads)
        case .graph(let configuration):
            return try given.index(
                HNSWBuilder(dimensions: dimensions, metric: metric, configuration: configuration),
                threads: threads)
        case .lists(let configuration):
            return try given.index(
                IVFBuilder(dimensions: dimensions, metric: metric, configuration: configuration),
                threads: threads)
        case .disk(let configuration):
            var builder = try await DiskBuilder(
                dimensions: dimensions, metric: metric, configuration: configuration,
                at: diskPath, on: storage)
            for (id, vector) in zip(ids, vectors) {
                for refused in refused {
                    await #expect(throws: VectorError.self) {
                        try await builder.append(id: id, vector: refused.span)
                    }
                }
                try await builder.append(id: id, vector: vector.span)
            }
            return try await builder.build(threads: threads)
        }
    }

    /// With the vectors' numbers for ids.
    func index(
        of vectors: [[Float]], dimensions: Int, _ metric: Metric, threads: Int = 1
    ) async throws -> any VectorIndex {
        try await index(
            of: vectors, ids: (0..<UInt64(vectors.count)).map { $0 }, dimensions: dimensions,
            metric, threads: threads)
    }

    /// Whether it has a file.
    var hasFile: Bool { structure != .rows }

    static let withFiles = all.filter(\.hasFile)

    func open(
        _ path: StoragePath, on storage: some Storage, _ residency: IndexResidency = .memory
    ) async throws(VectorError) -> any VectorIndex {
        switch structure {
        case .rows: throw VectorError(.storage, "\(path): rows in memory have no file")
        case .flat: try await SealedFlatIndex.open(path, on: storage, residency: residency)
        case .graph: try await HNSWIndex.open(path, on: storage, residency: residency)
        case .lists: try await IVFIndex.open(path, on: storage, residency: residency)
        case .disk: try await DiskIndex.open(path, on: storage)
        }
    }
}

/// What builds an index in memory.
protocol MemoryBuilder: ~Copyable {
    associatedtype Index: VectorIndex

    mutating func append(id: UInt64, vector: Span<Float>) throws(VectorError)
    consuming func index(threads: Int) throws(VectorError) -> Index
}

extension HNSWBuilder: MemoryBuilder {
    consuming func index(threads: Int) throws(VectorError) -> HNSWIndex {
        try build(threads: threads)
    }
}

extension IVFBuilder: MemoryBuilder {
    consuming func index(threads: Int) throws(VectorError) -> IVFIndex {
        try build(threads: threads)
    }
}

extension SealedFlatBuilder: MemoryBuilder {
    consuming func index(threads: Int) throws(VectorError) -> SealedFlatIndex {
        try build(threads: threads)
    }
}

/// What a builder is given.
private struct Given {
    var vectors: [[Float]]
    var ids: [UInt64]
    var refused: [[Float]]

    func index<Builder: MemoryBuilder & ~Copyable>(
        _ builder: consuming Builder, threads: Int
    ) throws -> any VectorIndex {
        for (id, vector) in zip(ids, vectors) {
            for refused in refused {
                do throws(VectorError) {
                    try builder.append(id: id, vector: refused.span)
                    Issue.record("\(refused) was taken")
                } catch {
                    let code: VectorError.Code =
                        refused.count == vector.count ? .notFinite : .wrongDimensions
                    #expect(error.code == code, "\(error)")
                }
            }
            try builder.append(id: id, vector: vector.span)
        }
        return try builder.index(threads: threads)
    }
}

extension VectorIndex {
    /// As the protocol has it, with arrays for spans.
    func found(
        _ query: [Float], _ limit: Int, _ accuracy: SearchAccuracy,
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        try search(query.span, limit: limit, accuracy: accuracy, allowing: allowed)
    }

    func found(
        batch: [[Float]], _ limit: Int, _ accuracy: SearchAccuracy,
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        let batch = batch.flatMap { $0 }
        return try search(batch: batch.span, limit: limit, accuracy: accuracy, allowing: allowed)
    }

    /// The ids, by place.
    var ids: [UInt64] { (0..<count).map { id(at: $0) } }

    /// The places of the ids that are in a set.
    func places(where isAllowed: (UInt64) -> Bool) -> VectorBitmap {
        var places = VectorBitmap(count: count)
        for place in 0..<count where isAllowed(id(at: place)) { places[place] = true }
        return places
    }
}
