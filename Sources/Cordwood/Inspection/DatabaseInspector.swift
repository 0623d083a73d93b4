package import CordwoodLog
package import CordwoodStorage

/// Looks at a database from its files alone: what ``LogInspector`` does, for each of its logs.
///
/// Takes no lock, changes no file, and works while another process has the database open and while
/// files are damaged.
package struct DatabaseInspector<S: Storage> {
    /// One log of a database.
    package struct Place: Sendable, Hashable {
        /// `topic` or `collection`.
        package var kind: String
        package var name: String
        package var partition: Int
        package var directory: StoragePath
    }

    private let storage: S
    /// What was found damaged in the catalog, to be told with the rest.
    package private(set) var catalogDamage: [Damage] = []
    /// All logs, topics first, each sorted by name and partition.
    package private(set) var places: [Place] = []

    /// Finds the logs, by the folders that are there and what the catalog says should be.
    ///
    /// Throws ``DatabaseError/Code/notADatabase`` where there is neither a catalog nor a folder of
    /// topics or collections.
    package init(_ storage: S, name: String) async throws(DatabaseError) {
        self.storage = storage
        do {
            let names = Set(try await storage.entries(of: .root).map(\.name))
            guard !names.isDisjoint(with: [Catalog<S>.fileName, "topics", "collections"]) else {
                throw DatabaseError(
                    .notADatabase,
                    "\(name): expected a folder with a file \(Catalog<S>.fileName), found none")
            }
            try await findFolders("topic", in: "topics", names)
            try await findFolders("collection", in: "collections", names)
            try await readCatalog(exists: names.contains(Catalog<S>.fileName))
        } catch let error as StorageError { throw DatabaseError(error, name) } catch let error
            as DatabaseError
        { throw error } catch {
            throw DatabaseError(.storage, name, cause: error)
        }
        places.sort {
            ($0.kind == "topic" ? 0 : 1, $0.name, $0.partition)
                < ($1.kind == "topic" ? 0 : 1, $1.name, $1.partition)
        }
    }

    private mutating func findFolders(
        _ kind: String, in folder: String, _ names: Set<String>
    ) async throws {
        guard names.contains(folder) else { return }
        let parent = try StoragePath.root.appending(folder)
        for entry in try await storage.entries(of: parent) where entry.kind == .directory {
            guard let directory = try? parent.appending(entry.name) else { continue }
            for log in try await storage.entries(of: directory) where log.kind == .directory {
                guard let partition = Int(log.name), "\(partition)" == log.name,
                    let path = try? directory.appending(log.name)
                else { continue }
                places.append(
                    Place(kind: kind, name: entry.name, partition: partition, directory: path))
            }
        }
    }

    private mutating func readCatalog(exists: Bool) async throws {
        let path = try StoragePath.root.appending(Catalog<S>.fileName)
        func note(_ problem: String) {
            catalogDamage.append(
                Damage(path: path.description, offsets: 0..<0, problem: problem))
        }
        guard exists else { return note("expected a catalog, found none") }
        let file = try await storage.open(path, .read)
        let size = try await file.size()
        let content = try await file.read(at: 0, count: min(size, 256 << 20))
        await file.close()
        let catalog = withExtendedLifetime(content) {
            EditLogInspection(content.unsafeBytes, kind: .catalog, path: path)
        }
        for (position, problem) in catalog.damage { note("at byte \(position): \(problem)") }
        var expected: Set<Place> = []
        for edit in catalog.edits {
            switch CatalogEdit(edit.payload) {
            case .addTopic(let name, let configuration):
                for partition in 0..<min(configuration.partitions, 4096) {
                    expected.insert(try place("topic", "topics", name, partition))
                }
            case .addCollection(let name, _):
                expected.insert(try place("collection", "collections", name, 0))
            case nil:
                note("at byte \(edit.position): an entry that this version does not know")
            }
        }
        let found = Set(places)
        for place in expected.subtracting(found).sorted(by: { $0.partition < $1.partition }) {
            note(
                "it names partition \(place.partition) of the \(place.kind) \(place.name), "
                    + "expected a folder \(place.directory), found none")
        }
    }

    private func place(
        _ kind: String, _ folder: String, _ name: String, _ partition: Int
    ) throws -> Place {
        let directory = try StoragePath.root.appending(folder).appending(name)
            .appending("\(partition)")
        return Place(kind: kind, name: name, partition: partition, directory: directory)
    }

    /// Inspects one log, and returns what was counted and what is damaged.
    package func inspect(
        _ place: Place, _ options: InspectionOptions,
        emit: @escaping (InspectionItem) throws -> Void
    ) async throws -> VerificationReport {
        var inspector = LogInspector(place.directory, on: storage, options, emit: emit)
        try await inspector.run()
        return inspector.report
    }
}
