import Cordwood

/// Points made of the rows of a vector file and the lines of text files beside it.
///
/// `@unchecked Sendable`: calls block, so it is handed to a ``BlockingThread``; one task at a time
/// uses it.
final class PointSource: @unchecked Sendable {
    /// How many numbers one batch of points holds: some hundred KiB, so that progress shows and a
    /// group commit has something to gather.
    private static let batchNumbers = 1 << 16

    /// How many points there are.
    let count: Int
    private let vectors: VectorFile
    private let labels: LineFile?
    private let ids: LineFile?
    private var row = 0
    private var numbers: [Float] = []

    /// Opens the files and checks that they fit each other and the collection.
    init(
        vectors path: String, labels: String?, ids: String?, limit: Int?, dimensions: Int
    ) throws {
        vectors = try VectorFile.open(path)
        guard vectors.dimensions == dimensions else {
            throw CommandError(
                "\(path) does not fit the collection: expected \(dimensions) dimensions, "
                    + "found \(vectors.dimensions)")
        }
        count = min(limit ?? .max, vectors.rows)
        self.labels = try Self.open(labels, "labels", rows: count)
        self.ids = try Self.open(ids, "ids", rows: count)
        if let ids { try Self.checkIDs(ids, rows: count) }
    }

    /// The next points; none at the end.
    func next() throws -> [Point] {
        let dimensions = vectors.dimensions
        let rows = row..<min(count, row + max(1, Self.batchNumbers / dimensions))
        try vectors.readRows(rows, into: &numbers)
        let labels = try self.labels?.next(rows.count)
        let ids = try self.ids?.next(rows.count)
        row = rows.upperBound
        return try rows.indices.map { index in
            let offset = index - rows.lowerBound
            let vector = Array(numbers[(offset * dimensions)..<((offset + 1) * dimensions)])
            var point = Point(id: UInt64(index), vector: vector)
            if let ids { point.id = try Self.id(ids[offset], line: index + 1) }
            if let labels { point.payload["label"] = .string(labels[offset]) }
            return point
        }
    }

    private static func open(_ path: String?, _ what: String, rows: Int) throws -> LineFile? {
        guard let path else { return nil }
        let lines = try LineFile.count(path)
        guard lines >= rows else {
            throw CommandError(
                "\(path) has too few \(what): expected one for each of \(rows) rows, "
                    + "found \(lines)")
        }
        return try LineFile(path)
    }

    private static func checkIDs(_ path: String, rows: Int) throws {
        let file = try LineFile(path)
        for line in 1...max(rows, 1) {
            guard let text = try file.next(1).first else { return }
            _ = try id(text, line: line)
        }
    }

    private static func id(_ text: String, line: Int) throws -> UInt64 {
        guard let id = UInt64(text) else {
            throw CommandError(
                "line \(line) of the ids: expected a number from 0 to \(UInt64.max), found "
                    + String(reflecting: String(text.prefix(40))))
        }
        return id
    }
}
