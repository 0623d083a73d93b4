import CordwoodVectors
import Glibc

/// Vectors to be searched, read from their file when they are needed, and queries in memory.
struct VectorSet {
    /// Where the queries come from.
    enum Source {
        case file(String)
        /// Rows of the base, which are then no part of it.
        case heldOut(Int, seed: UInt64)
    }

    /// Rows read from the base at a time.
    private static let chunkRows = 4096

    /// How many vectors are searched.
    let count: Int
    let dimensions: Int
    /// Row after row.
    let queries: [Float]
    /// Names what the set is made of: another file, or the same one changed, has another name.
    let identity: String
    let basePath: String
    private let base: VectorFile
    private let rows: Int
    private let heldOut: Set<Int>

    var queryCount: Int { queries.count / dimensions }

    func query(_ number: Int) -> Range<Int> { number * dimensions..<(number + 1) * dimensions }

    static func open(
        base path: String, source: Source, limit: Int?, queryLimit: Int?
    ) throws -> VectorSet {
        let base = try VectorFile.open(path)
        let rows = min(base.rows, limit ?? base.rows)
        var heldOut: Set<Int> = []
        var queries: [Float] = []
        let queryIdentity: String
        switch source {
        case .file(let path):
            let file = try VectorFile.open(path)
            guard file.dimensions == base.dimensions else {
                throw BenchError(
                    "\(path): expected \(base.dimensions) dimensions, as the base has, "
                        + "found \(file.dimensions)")
            }
            try file.readRows(0..<min(file.rows, queryLimit ?? file.rows), into: &queries)
            queryIdentity = try identity(of: path)
        case .heldOut(let count, let seed):
            guard count < rows else {
                throw BenchError("--hold-out: expected fewer than the \(rows) rows, found \(count)")
            }
            let chosen = randomRows(count, of: rows, seed: seed)
            heldOut = Set(chosen)
            var row: [Float] = []
            for number in chosen.prefix(queryLimit ?? count) {
                try base.readRows(number..<number + 1, into: &row)
                queries += row
            }
            queryIdentity = "held out \(count) seed \(seed)"
        }
        guard !queries.isEmpty else { throw BenchError("expected at least one query") }
        return VectorSet(
            count: rows - heldOut.count, dimensions: base.dimensions, queries: queries,
            identity: "\(try identity(of: path)); \(queryIdentity); rows \(rows); "
                + "queries \(queries.count / base.dimensions)",
            basePath: path, base: base, rows: rows, heldOut: heldOut)
    }

    /// The rows that were looked at, those that are queries now among them.
    var rowCount: Int { rows }

    /// Calls `body` with the number and the components of each row that is searched.
    func forEachRow(_ body: (UInt64, Span<Float>) throws -> Void) throws {
        var values: [Float] = []
        for chunk in chunks {
            try base.readRows(chunk, into: &values)
            for row in chunk where !heldOut.contains(row) {
                try body(UInt64(row), values.span.extracting(query(row - chunk.lowerBound)))
            }
        }
    }

    /// All rows, in pieces that are read at a time.
    var chunks: [Range<Int>] {
        stride(from: 0, to: rows, by: Self.chunkRows).map { $0..<min($0 + Self.chunkRows, rows) }
    }

    /// The number and the components of each row of a chunk that is searched.
    func rows(_ chunk: Range<Int>) throws -> [(UInt64, [Float])] {
        var values: [Float] = []
        try base.readRows(chunk, into: &values)
        return chunk.filter { !heldOut.contains($0) }.map {
            (UInt64($0), Array(values[query($0 - chunk.lowerBound)]))
        }
    }

    /// Name, size and time of change of a file.
    private static func identity(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { throw BenchError.system("stat", path) }
        let name = path.split(separator: "/").last ?? ""
        let time = "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
        return "\(name) \(status.st_size) bytes at \(time)"
    }

    /// Different rows in a random order that the seed repeats.
    private static func randomRows(_ count: Int, of rows: Int, seed: UInt64) -> [Int] {
        var generator = SplitMix64(seed: seed)
        var chosen: [Int] = []
        var seen: Set<Int> = []
        while chosen.count < count {
            let row = Int.random(in: 0..<rows, using: &generator)
            if seen.insert(row).inserted { chosen.append(row) }
        }
        return chosen
    }
}
