import ArgumentParser
import CordwoodVectors

/// Which index is measured, and how it is built.
struct IndexOptions: ParsableArguments {
    @Option(help: "flat, hnsw, ivf or disk.")
    var index = IndexName.flat

    @Option(
        help: """
            flat: none, sq8, sq4; hnsw: these and auto; ivf: none, sq8, pq4, pq8, rabitq, auto; disk \
            has codes as long as the memory allows.
            """)
    var quantization = QuantizationName.none

    @Option(help: "What the nearest are compared with again: none, f16 or f32.")
    var rerank = RerankName.f32

    @Flag(help: "The same as --rerank none.")
    var codesOnly = false

    @Option(help: "Threads that build; a flat index needs but one.")
    var buildThreads = 2

    @Option(help: "hnsw: how many neighbours a vector chooses.")
    var neighbors = 16

    @Option(help: "hnsw and disk: how many near vectors are looked at to choose them.")
    var efConstruction = 200

    @Option(help: "ivf: how many lists; without it about four times the root of the rows.")
    var lists: Int?

    @Option(help: "ivf: components to each group of pq4 and pq8.")
    var groupWidth: Int?

    @Option(help: "ivf: bits to each component of rabitq.")
    var rabitqBits: Int?

    @Option(help: "disk: the most edges of a vector.")
    var degree = 48

    @Option(help: "disk: megabytes in memory that the index may take.")
    var memoryCap = 64

    @Option(help: "disk: megabytes in memory that building may take; without it 8 GiB.")
    var buildMemoryCap: Int?

    @Option(help: ArgumentHelp("disk: where the index is built.", valueName: "directory"))
    var directory = "/tmp"

    @Option(
        help: ArgumentHelp(
            "disk: where the index of these very options is kept: built there if it is not there.",
            valueName: "directory"))
    var keep: String?

    /// What a search of an index takes, and what is measured where no grid says other values.
    struct Effort: Sendable {
        var name: String
        var values: [Int]

        static let ef = Effort(
            name: "ef", values: [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512])
        static let probes = Effort(
            name: "probes", values: [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256])
    }

    func validate() throws {
        guard index != .disk || quantization == .none || quantization == .auto else {
            throw ValidationError(
                "--quantization \(quantization.rawValue): an index on disk has codes as long as the "
                    + "memory allows")
        }
        guard index != .flat || reranking != .none else {
            throw ValidationError("--rerank none: a flat index compares vectors, f32 or f16")
        }
        let counts = [
            ("--build-threads", buildThreads), ("--memory-cap", memoryCap), ("--degree", degree),
            ("--build-memory-cap", buildMemoryCap ?? 1),
        ]
        for (name, count) in counts where count < 1 {
            throw ValidationError("\(name): expected 1 or more, found \(count)")
        }
    }

    /// Adds every row of the set under its number.
    func build(
        of set: VectorSet, metric: Metric, _ allowed: RowFilter?
    ) async throws -> any IndexUnderTest {
        switch index {
        case .hnsw:
            var builder = try HNSWBuilder(
                dimensions: set.dimensions, metric: metric,
                configuration: HNSWConfiguration(
                    neighbors: neighbors, efConstruction: efConstruction,
                    quantization: quantization.kept, reranking: reranking),
                expectedCount: set.count)
            try set.forEachRow { id, vector in try builder.append(id: id, vector: vector) }
            let index = try builder.build(threads: buildThreads)
            return SealedUnderTest(
                index, effort: .ef, chosen: index.configuration.quantization, allowed)
        case .ivf:
            var builder = try IVFBuilder(
                dimensions: set.dimensions, metric: metric, configuration: lists(of: set),
                expectedCount: set.count)
            try set.forEachRow { id, vector in try builder.append(id: id, vector: vector) }
            let index = try builder.build(threads: buildThreads)
            return SealedUnderTest(
                index, effort: .probes, chosen: index.configuration.quantization, allowed)
        case .flat:
            // Vectors that may change are kept as they are.
            if quantization == .none, reranking == .f32 {
                return try FlatUnderTest(set, metric: metric, allowed)
            }
            var builder = try SealedFlatBuilder(
                dimensions: set.dimensions, metric: metric,
                configuration: .init(quantization: quantization.kept, reranking: reranking),
                expectedCount: set.count)
            try set.forEachRow { id, vector in try builder.append(id: id, vector: vector) }
            return SealedUnderTest(
                try builder.build(threads: buildThreads), effort: nil,
                chosen: quantization.kept, allowed)
        case .disk:
            var configuration = DiskConfiguration(
                degree: degree, efConstruction: efConstruction,
                memoryCapBytes: memoryCap * 1_000_000)
            if let buildMemoryCap {
                configuration.buildMemoryCapBytes = buildMemoryCap * 1_000_000
            }
            return try await DiskUnderTest(
                set, metric: metric, configuration: configuration, directory: directory,
                kept: keep, threads: buildThreads, allowed)
        }
    }

    private func lists(of set: VectorSet) -> IVFConfiguration {
        var configuration = IVFConfiguration(
            lists: lists, quantization: quantization.kept, groupWidth: groupWidth,
            keepsVectors: reranking != .none)
        if let rabitqBits { configuration.rabitqBits = rabitqBits }
        return configuration
    }

    private var reranking: Reranking {
        codesOnly ? .none : Reranking(rawValue: rerank.rawValue) ?? .f32
    }

    /// What was asked for, for a report.
    var parameters: [(String, JSONValue)] {
        let rerank = [("rerank", JSONValue.string(reranking.rawValue))]
        switch index {
        case .flat, .ivf: return rerank
        case .hnsw:
            return [
                ("neighbors", .integer(neighbors)), ("ef_construction", .integer(efConstruction)),
            ] + rerank
        case .disk:
            return [
                ("degree", .integer(degree)), ("ef_construction", .integer(efConstruction)),
                ("memory_cap_mb", .integer(memoryCap)),
                ("build_memory_cap_mb", buildMemoryCap.map { .integer($0) } ?? .null),
            ]
        }
    }
}

enum IndexName: String, ExpressibleByArgument, CaseIterable { case flat, hnsw, ivf, disk }

enum RerankName: String, ExpressibleByArgument, CaseIterable { case none, f16, f32 }

enum QuantizationName: String, ExpressibleByArgument, CaseIterable {
    case none, sq8, sq4, pq4, pq8, rabitq, auto

    /// The library's name for it, which is the same.
    var kept: Quantization { Quantization(rawValue: rawValue) ?? .none }
}
