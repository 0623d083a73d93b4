#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood collection …`
struct CollectionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collection", abstract: "Store points with vectors, and search them.",
        subcommands: [
            CollectionCreate.self, CollectionImport.self, CollectionSearch.self,
            CollectionDescribe.self,
        ])
}

/// How vectors are held in memory.
enum QuantizationChoice: String, ExpressibleByArgument, CaseIterable {
    /// 32-bit floats, as they came.
    case none
}

struct CollectionCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a collection, and the database where missing.")

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Option(help: "Numbers in each vector.") var dimensions: Int
    @Option(help: "What nearness is: l2, ip (inner product) or cosine.") var metric: Choice<Metric>
    @Option(help: "How vectors are searched.") var index = Choice(IndexKind.flat)
    @Option(help: "How vectors are held in memory.") var quantization = QuantizationChoice.none

    func validate() throws {
        guard (1...VectorFile.maximumDimensions) ~= dimensions else {
            throw ValidationError(
                "--dimensions: expected 1 to \(VectorFile.maximumDimensions), found \(dimensions)")
        }
    }

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory, creating: true) { database in
            guard !database.collectionNames.contains(name) else {
                throw CommandError(
                    "the collection \(name) exists already in \(location.directory)")
            }
            _ = try await database.collection(
                name,
                CollectionConfiguration(
                    dimensions: dimensions, metric: metric.value, index: index.value))
        }
    }
}

struct CollectionDescribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "Show a collection's configuration and size.")

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let collection = try await database.collection(named: name)
            let configuration = collection.configuration
            let members: [(String, JSON)] = [
                ("collection", .string(collection.name)),
                ("points", .count(collection.count)),
                ("dimensions", .count(configuration.dimensions)),
                ("metric", .string(configuration.metric.rawValue)),
                ("index", .string(configuration.index.rawValue)),
                ("appliedOffset", .integer(collection.appliedOffset)),
                ("bytesInMemory", .count(await collection.bytesInMemory())),
            ]
            if json {
                try Output.standard.line(JSON.object(members).description)
            } else {
                for (key, value) in members {
                    try Output.standard.line("\(key.paddedRight(to: 15))\(value.plain)")
                }
            }
        }
    }
}

#endif
