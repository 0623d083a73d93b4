#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood collection search`: the points nearest to given vectors, or to a point.
struct CollectionSearch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Find the nearest points.",
        discussion: """
            Prints the nearest first, with its id, its distance (smaller is nearer) and its label. \
            With --like, the point itself is left out. With --vector-file, each row is a query.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Option(help: "A .npy, .fvecs, .bvecs or .ivecs file of queries.") var vectorFile: String?
    @Option(help: "The id of a point whose neighbours are wanted.") var like: UInt64?
    @Option(help: "How many to find for each query.") var limit = 10
    @Option(help: "How many near points a search of an index keeps in sight (ef of hnsw).")
    var effort: Int?
    @Option(help: "The share of the true neighbours to be found on average; by default 0.95.")
    var recall: Double?
    @Flag(help: "Compare with every vector.") var exact = false
    @Flag(help: "Print one JSON object a query.") var json = false

    /// One less than the index's own: ``like`` asks for one more.
    private static let maximumLimit = FlatIndex.maximumLimit - 1
    /// How many queries are searched in one call.
    private static let queriesPerBatch = 256

    func validate() throws {
        guard (vectorFile == nil) != (like == nil) else {
            throw ValidationError("expected either --vector-file or --like")
        }
        guard [effort != nil, recall != nil, exact].count(where: { $0 }) <= 1 else {
            throw ValidationError("expected at most one of --effort, --recall and --exact")
        }
        do { try accuracy.validate() } catch { throw ValidationError("\(error)") }
        guard (1...Self.maximumLimit) ~= limit else {
            throw ValidationError("--limit: expected 1 to \(Self.maximumLimit), found \(limit)")
        }
    }

    private var accuracy: SearchAccuracy {
        if exact { return .exact }
        return effort.map { .effort($0) } ?? .recall(recall ?? 0.95)
    }

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let collection = try await database.collection(named: name)
            if let like {
                try await search(collection, like: like)
            } else if let vectorFile {
                try await search(collection, file: vectorFile)
            }
        }
    }

    private func search(_ collection: Cordwood.Collection, like id: UInt64) async throws {
        guard let point = try await collection.get(id) else {
            throw CommandError("the collection \(name) has no point \(id)")
        }
        // One more, since the point is its own nearest.
        let found = try await collection.search(point.vector, limit: limit + 1, accuracy: accuracy)
        let others = found.filter { $0.id != id }.prefix(limit)
        try await show(Array(others), query: ("like", .unsigned(id)), collection)
    }

    private func search(_ collection: Cordwood.Collection, file path: String) async throws {
        let dimensions = collection.configuration.dimensions
        let file = try await BlockingThread.run { try VectorFile.open(path) }
        guard file.dimensions == dimensions else {
            throw CommandError(
                "\(path) does not fit the collection: expected \(dimensions) dimensions, "
                    + "found \(file.dimensions)")
        }
        for start in stride(from: 0, to: file.rows, by: Self.queriesPerBatch) {
            let rows = start..<min(start + Self.queriesPerBatch, file.rows)
            let queries = try await BlockingThread.run {
                var numbers: [Float] = []
                try file.readRows(rows, into: &numbers)
                return numbers
            }
            let found = try await collection.search(
                batch: queries, limit: limit, accuracy: accuracy)
            for (row, neighbors) in zip(rows, found) {
                try await show(neighbors, query: ("query", .count(row)), collection)
            }
        }
    }

    private func show(
        _ neighbors: [Neighbor], query: (String, JSON), _ collection: Cordwood.Collection
    ) async throws {
        try Task.checkCancellation()
        var payloads: [[String: PayloadValue]] = []
        for neighbor in neighbors {
            payloads.append(try await collection.get(neighbor.id)?.payload ?? [:])
        }
        if json {
            let found = zip(neighbors, payloads).map { neighbor, payload in
                JSON.object([
                    ("id", .unsigned(neighbor.id)),
                    ("distance", .number(Double(neighbor.distance))),
                    ("payload", JSON(payload)),
                ])
            }
            try Output.standard.line(
                JSON.object([query, ("neighbors", .array(found))]).description)
            return
        }
        if vectorFile != nil { try Output.standard.line("\(query.0) \(query.1)") }
        for (neighbor, payload) in zip(neighbors, payloads) {
            try Output.standard.line(
                "\(neighbor.id)".paddedLeft(to: 12)
                    + Figures.fixed(Double(neighbor.distance), 5).paddedLeft(to: 12)
                    + (payload["label"].map { "  \($0)" } ?? ""))
        }
    }
}

#endif
