import CordwoodVectors

/// An index that is measured. Never changed once it is built, so that threads may share it.
protocol IndexUnderTest: Sendable {
    var bytesPerVector: Double { get }
    /// What the vectors are kept as, which the index may have chosen itself.
    var quantization: String { get }
    /// Bytes in memory, with what the searches of one thread take, where the index bounds them.
    var memoryBytes: Int? { get }
    /// How long it took to build, of one that was built by an earlier run and kept.
    var keptBuildSeconds: Double? { get }
    /// Pages of 4 KiB that a query reads, of an index that reads as it searches.
    func readsPerQuery(at point: SearchPoint) -> Double?
    /// What the queries of a batch read, of an index that walks over a graph in memory.
    func reads(batch: Span<Float>, limit: Int, at point: SearchPoint) throws
        -> HNSWSearchStatistics?
    /// What can be turned when it is searched, each value of which is measured; one of nothing where
    /// there is nothing.
    func points(of grid: SearchGrid) throws -> [SearchPoint]
    func search(_ query: Span<Float>, limit: Int, at point: SearchPoint) throws -> [Neighbor]
    func search(batch: Span<Float>, limit: Int, at point: SearchPoint) throws -> [[Neighbor]]
}

extension IndexUnderTest {
    var memoryBytes: Int? { nil }
    var keptBuildSeconds: Double? { nil }
    func readsPerQuery(at point: SearchPoint) -> Double? { nil }
    func reads(batch: Span<Float>, limit: Int, at point: SearchPoint) throws
        -> HNSWSearchStatistics?
    { nil }
}

/// How one search is made: nothing to turn, or an effort by the name that the grid has for it.
struct SearchPoint: Sendable, Hashable {
    var name: String?
    var effort: Int?

    var parameters: [(String, JSONValue)] {
        guard let name, let effort else { return [] }
        return [(name, .integer(effort))]
    }
}

/// The values of `--grid`, such as `ef=10,20`.
struct SearchGrid {
    private(set) var values: [String: [Int]] = [:]

    init(_ text: String?) throws {
        for part in (text ?? "").split(separator: ";") {
            let halves = part.split(separator: "=")
            let numbers = halves.last?.split(separator: ",").map { Int($0) } ?? []
            guard halves.count == 2, !numbers.isEmpty, !numbers.contains(nil) else {
                throw BenchError("--grid: expected NAME=NUMBER,NUMBER;NAME=…, found \(part)")
            }
            values[String(halves[0])] = numbers.compactMap { $0 }
        }
    }

    /// Throws where the grid has another name than these.
    func allow(_ names: [String]) throws {
        for name in values.keys.sorted() where !names.contains(name) {
            throw BenchError(
                "--grid: this index has \(names.isEmpty ? "nothing" : names.joined(separator: ", "))"
                    + " to turn, found \(name)")
        }
    }
}
