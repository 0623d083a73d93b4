#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood collection import`: the rows of a vector file as points.
struct CollectionImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Import the rows of a .npy, .fvecs, .bvecs or .ivecs file.",
        discussion: """
            A point's id is its row's number, from 0, or its line of --ids. A point that exists is \
            replaced. All files are checked before the first point is stored; when the command is \
            interrupted later, the points stored so far stay. At the end the points are sealed, unless \
            the collection's index is flat.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Argument(help: "The file of vectors.") var file: String
    @Option(help: "A text file with a label for each row, kept as the payload \"label\".")
    var labels: String?
    @Option(help: "A text file with an id for each row.") var ids: String?
    @Option(help: "Import only this many rows.") var limit: Int?
    @OptionGroup var building: BuildingOptions

    func validate() throws {
        if let limit, limit < 0 {
            throw ValidationError("--limit: expected 0 or more, found \(limit)")
        }
    }

    func run() async throws {
        try await DatabaseAccess.withDatabase(
            at: location.directory, buildThreads: building.threads
        ) { database in
            let collection = try await database.collection(named: name)
            let source = try await BlockingThread.run { [self] in
                try PointSource(
                    vectors: file, labels: labels, ids: ids, limit: limit,
                    dimensions: collection.configuration.dimensions)
            }
            var progress = ProgressBar("importing", total: source.count)
            defer { progress.clear() }
            let began = ContinuousClock.now
            var stored = 0
            while case let points = try await BlockingThread.run({ try source.next() }),
                !points.isEmpty
            {
                try Task.checkCancellation()
                _ = try await collection.upsert(points)
                stored += points.count
                progress.update(stored)
            }
            progress.clear()
            FileDescriptor.report(
                "\(Figures.count(stored, "point")) imported, durable, "
                    + Figures.rate(stored, in: ContinuousClock.now - began))
            if collection.configuration.index != .flat {
                try await CollectionSeal.run(collection, merging: .small)
            }
        }
    }
}

#endif
