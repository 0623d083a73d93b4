#if CommandLine
import ArgumentParser
import Cordwood

/// How vectors are searched, by name.
enum IndexChoice: String, CaseIterable {
    case flat, hnsw, ivf, disk
}

/// `cordwood collection create`
struct CollectionCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a collection, and the database where missing.",
        discussion: """
            An index other than flat is built of points that are sealed together, in the background \
            whenever --seal-after of them have gathered, or by `collection seal`.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Option(help: "Numbers in each vector.") var dimensions: Int
    @Option(help: "What nearness is: l2, ip (inner product) or cosine.") var metric: Choice<Metric>
    @Option(help: "How vectors are searched.") var index = Choice(IndexChoice.flat)
    @Option(help: "How an index keeps what it compares first; by default what suits it.")
    var quantization: Choice<Quantization>?
    @Option(help: "M of an hnsw index: the neighbours that a vector chooses.") var neighbors: Int?
    @Option(help: "How many near vectors an hnsw index chooses them from.") var efConstruction: Int?
    @Option(help: "How many points are gathered before they are sealed.") var sealAfter: Int?

    private var collectionConfiguration: CollectionConfiguration {
        get throws {
            var configuration = CollectionConfiguration(
                dimensions: dimensions, metric: metric.value, index: try indexKind)
            if let sealAfter { configuration.sealAfter = sealAfter }
            do { try configuration.validate() } catch {
                throw ValidationError("\(error)")
            }
            return configuration
        }
    }

    private var indexKind: IndexKind {
        get throws {
            guard index.value == .hnsw || (neighbors == nil && efConstruction == nil) else {
                throw ValidationError("--neighbors and --ef-construction are for --index hnsw")
            }
            switch index.value {
            case .hnsw:
                var hnsw = HNSWConfiguration()
                if let quantization { hnsw.quantization = quantization.value }
                if let neighbors { hnsw.neighbors = neighbors }
                if let efConstruction { hnsw.efConstruction = efConstruction }
                return .hnsw(hnsw)
            case .ivf: return .ivf
            case .disk: return .disk
            case .flat:
                guard [nil, Quantization.none, .auto].contains(quantization?.value) else {
                    throw ValidationError(
                        "--quantization: an index flat keeps vectors as they came; expected none "
                            + "or auto, found \(quantization?.value.rawValue ?? "")")
                }
                return .flat
            }
        }
    }

    func validate() throws { _ = try collectionConfiguration }

    func run() async throws {
        let configuration = try collectionConfiguration
        try await DatabaseAccess.withDatabase(at: location.directory, creating: true) { database in
            guard !database.collectionNames.contains(name) else {
                throw CommandError(
                    "the collection \(name) exists already in \(location.directory)")
            }
            _ = try await database.collection(name, configuration)
        }
    }
}

#endif
