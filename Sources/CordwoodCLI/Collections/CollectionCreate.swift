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
    @Option(help: "How many near vectors an hnsw or disk index chooses neighbours from.")
    var efConstruction: Int?
    @Option(help: "How many lists an ivf index has; by default four times the root of the vectors.")
    var lists: Int?
    @Option(help: "Megabytes of memory that each segment of a disk index may take.")
    var memoryCap: Int?
    @Option(help: "Megabytes of memory that building a segment of a disk index may take.")
    var buildMemoryCap: Int?
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
            try checkOptions()
            switch index.value {
            case .hnsw:
                var hnsw = HNSWConfiguration()
                if let quantization { hnsw.quantization = quantization.value }
                if let neighbors { hnsw.neighbors = neighbors }
                if let efConstruction { hnsw.efConstruction = efConstruction }
                return .hnsw(hnsw)
            case .ivf:
                var ivf = IVFConfiguration(lists: lists)
                if let quantization { ivf.quantization = quantization.value }
                return .ivf(ivf)
            case .disk:
                var disk = DiskConfiguration()
                if let efConstruction { disk.efConstruction = efConstruction }
                if let memoryCap {
                    disk.memoryCapBytes = try bytes(memoryCap, "--memory-cap")
                }
                if let buildMemoryCap {
                    disk.buildMemoryCapBytes = try bytes(buildMemoryCap, "--build-memory-cap")
                }
                return .disk(disk)
            case .flat: return .flat
            }
        }
    }

    private func bytes(_ megabytes: Int, _ option: String) throws -> Int {
        let (bytes, overflow) = megabytes.multipliedReportingOverflow(by: 1_000_000)
        guard !overflow else {
            throw ValidationError("\(option): expected less, found \(megabytes)")
        }
        return bytes
    }

    /// Each option is of some indexes only.
    private func checkOptions() throws {
        let kinds: [(String, Bool, [IndexChoice])] = [
            ("--neighbors", neighbors != nil, [.hnsw]),
            ("--ef-construction", efConstruction != nil, [.hnsw, .disk]),
            ("--lists", lists != nil, [.ivf]), ("--memory-cap", memoryCap != nil, [.disk]),
            ("--build-memory-cap", buildMemoryCap != nil, [.disk]),
        ]
        for (option, isGiven, indexes) in kinds where isGiven && !indexes.contains(index.value) {
            throw ValidationError(
                "\(option) is for --index \(indexes.map(\.rawValue).joined(separator: " and "))")
        }
        // A flat index keeps vectors as they came, and one on disk codes as long as memory allows.
        guard
            [.hnsw, .ivf].contains(index.value)
                || [nil, Quantization.none, .auto].contains(quantization?.value)
        else {
            throw ValidationError(
                "--quantization: an index \(index.value.rawValue) has none to choose; expected none "
                    + "or auto, found \(quantization?.value.rawValue ?? "")")
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
