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

    @OptionGroup var options: IndexOptions

    @Option(help: "How many neighbours.")
    var k = 10

    @Option(
        help: "Threads that search, or several such numbers; each batch is divided among them.")
    var threads = "1"

    @Option(help: "Use only the first rows of the base.")
    var limit: Int?

    @Option(help: "Use only the first queries.")
    var queryLimit: Int?

    @Option(help: "Search parameters to go through, such as ef=10,20; a flat index has none.")
    var grid: String?

    @Option(help: "Measured rounds of each mode, after one to warm up.")
    var rounds = 3

    @Option(help: "Search one at a time with the first queries only, since that takes longer.")
    var singleQueries: Int?

    @Option(help: "batch, single or both, with a comma between them.")
    var modes = "batch,single"

    @Option(
        help: ArgumentHelp(
            "Search only the rows whose bit is set: bit i % 8 of byte i / 8, from the lowest.",
            valueName: "file"))
    var allow: String?

    @Option(
        help: ArgumentHelp(
            "Write what the batches found, as .ivecs: one file for each point of the grid, whose "
                + "number takes the place of a % in the name.", valueName: "file"))
    var saveNeighbors: String?

    @Flag(help: "Print a line after each round, and wait for a line of input before the next.")
    var paced = false

    @Flag(help: "Also measure what the machine can do: plain sums over the bytes, and sgemm alone.")
    var limits = false

    @Flag(
        help: """
            disk: after each round also measure by fio how many pages at random the disk gives a \
            second, with as many under way.
            """)
    var fio = false

    func validate() throws {
        guard !fio || options.index == .disk else {
            throw ValidationError("--fio: expected --index disk")
        }
        guard (queries == nil) != (holdOut == nil) else {
            throw ValidationError("expected either --queries or --hold-out")
        }
        for mode in modes.split(separator: ",") where SearchMode(rawValue: String(mode)) == nil {
            throw ValidationError("--modes: expected batch and single, found \(mode)")
        }
        let counts = [
            ("--k", k), ("--threads", threadCounts.min() ?? 0),
            ("--rounds", rounds), ("--limit", limit ?? 1), ("--query-limit", queryLimit ?? 1),
            ("--hold-out", holdOut ?? 1), ("--single-queries", singleQueries ?? 1),
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
        let allowed = try allow.map { try RowFilter(path: $0, rows: set.rowCount) }
        let clock = ContinuousClock()
        let start = clock.now
        let index = try await options.build(of: set, metric: metric, allowed)
        let buildSeconds = start.duration(to: clock.now) / .seconds(1)
        let residentBytes = Machine.residentBytes
        let exact = try index as? FlatUnderTest ?? FlatUnderTest(set, metric: metric, allowed)
        let truth = try GroundTruth.load(or: exact, set, metric: metric, k: k, allowed)
        var probe: LimitsProbe?
        if limits { probe = try LimitsProbe(set) }
        let pacing = Pacing(isPaced: paced)
        let searches = SearchRounds(
            index: index, set: set, queryCounts: [.single: singleQueries ?? set.queryCount], k: k,
            count: rounds, pacing: pacing)
        pacing.tellReady()
        let wanted = modes.split(separator: ",").compactMap { SearchMode(rawValue: String($0)) }
        for (threads, (number, point), mode) in product(
            threadCounts, Array(try index.points(of: grid).enumerated()), wanted)
        {
            var diskReads: [Double] = []
            let measured = try await searches.run(mode, at: point, threads: threads) {
                probe?.measure()
                if fio, let disk = index as? DiskUnderTest {
                    diskReads.append(try disk.reads(mode, threads: threads).run())
                }
            }
            if mode == .batch, let saveNeighbors {
                let name = saveNeighbors.split(separator: "%", omittingEmptySubsequences: false)
                try NeighborFile.write(
                    measured.neighbours, to: name.joined(separator: "\(number)"))
            }
            var report = VectorsReport(command: self, set: set, index: index, measured: measured)
            report.recall = truth.recall(of: measured.neighbours, in: exact, set)
            report.buildSeconds = index.keptBuildSeconds ?? buildSeconds
            report.diskReads = diskReads
            report.residentBytes = residentBytes
            report.limits = probe
            if limits, mode == .batch {
                report.reads = try index.reads(batch: set.queries.span, limit: k, at: point)
            }
            try report.line().print()
        }
    }

    private var threadCounts: [Int] { threads.split(separator: ",").map { Int($0) ?? 0 } }
}

/// All triples, the last changing first.
private func product<A, B, C>(_ a: [A], _ b: [B], _ c: [C]) -> [(A, B, C)] {
    a.flatMap { a in b.flatMap { b in c.map { (a, b, $0) } } }
}
