import ArgumentParser
import CordwoodVectors

/// `cordwood-bench vectors`: build an index of a file of vectors and search it.
struct VectorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vectors", abstract: "Build a vector index and search it.",
        discussion: """
            Files: .npy (f32, f16, u8), .fvecs, .bvecs, .ivecs. The exact neighbours are computed \
            once and kept beside the base file.
            """)

    @Option(help: ArgumentHelp("The vectors to be searched.", valueName: "file"))
    var base: String

    @Option(help: ArgumentHelp("The queries; or see --hold-out.", valueName: "file"))
    var queries: String?

    @Option(help: "Take this many random rows out of the base and search for them.")
    var holdOut: Int?

    @Option(help: "Chooses the rows of --hold-out.")
    var seed: UInt64 = 1

    @Option(help: "l2, ip or cosine.", transform: named)
    var metric: Metric

    @Option(help: "flat, hnsw or disk; ivf is not in this version.")
    var index = IndexName.flat

    @Option(help: "none, and with hnsw sq8 or sq4; pq4, rabitq and auto are not in this version.")
    var quantization = QuantizationName.none

    @Option(help: "How many neighbours.")
    var k = 10

    @Option(help: "Threads that search; each batch is divided among them.")
    var threads = 1

    @Option(help: "Threads that build; a flat index needs but one.")
    var buildThreads = 2

    @Option(help: "Use only the first rows of the base.")
    var limit: Int?

    @Option(help: "Use only the first queries.")
    var queryLimit: Int?

    @Option(help: "hnsw: how many neighbours a vector chooses.")
    var neighbors = 16

    @Option(help: "hnsw and disk: how many near vectors are looked at to choose them.")
    var efConstruction = 200

    @Option(help: "disk: the most edges of a vector.")
    var degree = 48

    @Option(help: "disk: megabytes in memory that the index may take.")
    var memoryCap = 64

    @Option(help: ArgumentHelp("disk: where the index is built.", valueName: "directory"))
    var directory = "/tmp"

    @Flag(help: "hnsw: keep codes alone, and no vectors to compare the nearest with again.")
    var codesOnly = false

    @Option(help: "Search parameters to go through, such as ef=10,20; a flat index has none.")
    var grid: String?

    @Option(help: "Measured rounds of each mode, after one to warm up.")
    var rounds = 3

    @Option(help: "Search one at a time with the first queries only, since that takes longer.")
    var singleQueries: Int?

    @Option(help: ArgumentHelp("Write what the batch found, as .ivecs.", valueName: "file"))
    var saveNeighbors: String?

    @Flag(help: "Print a line after each round, and wait for a line of input before the next.")
    var paced = false

    @Flag(
        help: "Also measure what the machine can do: a plain sum over the bytes, and sgemm alone.")
    var limits = false

    func validate() throws {
        guard index != .ivf else {
            throw ValidationError(
                "--index \(index.rawValue): not in this version, which has flat, hnsw and disk")
        }
        guard
            quantization == .none || index == .hnsw && kept != nil
                || index == .disk && quantization == .auto
        else {
            throw ValidationError(
                "--quantization \(quantization.rawValue): not in this version, where flat has none, "
                    + "hnsw none, sq8 and sq4, and disk codes as long as the memory allows")
        }
        guard (queries == nil) != (holdOut == nil) else {
            throw ValidationError("expected either --queries or --hold-out")
        }
        let counts = [
            ("--k", k), ("--threads", threads), ("--build-threads", buildThreads),
            ("--rounds", rounds), ("--limit", limit ?? 1), ("--query-limit", queryLimit ?? 1),
            ("--hold-out", holdOut ?? 1), ("--single-queries", singleQueries ?? 1),
            ("--memory-cap", memoryCap), ("--degree", degree),
        ]
        for (name, count) in counts where count < 1 {
            throw ValidationError("\(name): expected 1 or more, found \(count)")
        }
    }

    func run() async throws {
        try VectorKernels.checkRequestedISA()
        let grid = try SearchGrid(grid)
        let set = try VectorSet.open(
            base: base, source: queries.map { .file($0) } ?? .heldOut(holdOut ?? 0, seed: seed),
            limit: limit, queryLimit: queryLimit)
        let clock = ContinuousClock()
        let start = clock.now
        let index = try await makeIndex(of: set)
        let buildSeconds = start.duration(to: clock.now) / .seconds(1)
        let residentBytes = Machine.residentBytes
        let exact = try index as? FlatUnderTest ?? FlatUnderTest(set, metric: metric)
        let truth = try GroundTruth.load(or: exact, set, metric: metric, k: k)
        var probe: LimitsProbe?
        if limits { probe = try LimitsProbe(set) }
        let pacing = Pacing(isPaced: paced)
        let searches = SearchRounds(
            index: index, set: set, queryCounts: [.single: singleQueries ?? set.queryCount], k: k,
            threads: threads, count: rounds, pacing: pacing)
        pacing.tellReady()
        for (point, mode) in try index.points(of: grid).flatMap({ point in
            SearchMode.allCases.map { (point, $0) }
        }) {
            let measured = try await searches.run(mode, at: point) { probe?.measure() }
            if mode == .batch, let saveNeighbors {
                try NeighborFile.write(measured.neighbours, to: saveNeighbors)
            }
            var report = VectorsReport(command: self, set: set, index: index, measured: measured)
            report.recall = truth.recall(of: measured.neighbours, in: exact, set)
            report.buildSeconds = buildSeconds
            report.residentBytes = residentBytes
            report.limits = probe
            report.line().print()
        }
    }

    private func makeIndex(of set: VectorSet) async throws -> any IndexUnderTest {
        if index == .disk {
            return try await DiskUnderTest(
                set, metric: metric,
                configuration: DiskConfiguration(
                    degree: degree, efConstruction: efConstruction,
                    memoryCapBytes: memoryCap * 1_000_000),
                directory: directory, threads: buildThreads)
        }
        guard index == .hnsw, let kept else { return try FlatUnderTest(set, metric: metric) }
        return try HNSWUnderTest(
            set, metric: metric,
            configuration: HNSWConfiguration(
                neighbors: neighbors, efConstruction: efConstruction, quantization: kept,
                keepsVectors: !codesOnly),
            threads: buildThreads)
    }

    private var kept: Quantization? { Quantization(rawValue: quantization.rawValue) }

    var buildParameters: [(String, JSONValue)] {
        if index == .disk {
            return [
                ("degree", .integer(degree)), ("ef_construction", .integer(efConstruction)),
                ("memory_cap_mb", .integer(memoryCap)),
            ]
        }
        guard index == .hnsw else { return [] }
        return [
            ("neighbors", .integer(neighbors)), ("ef_construction", .integer(efConstruction)),
            ("keeps_vectors", .bool(!codesOnly)),
        ]
    }
}

enum IndexName: String, ExpressibleByArgument, CaseIterable { case flat, hnsw, ivf, disk }

enum QuantizationName: String, ExpressibleByArgument, CaseIterable {
    case none, sq8, sq4, pq4, rabitq, auto
}
