package import CordwoodLog
import CordwoodStorage

/// A database's files on a Linux disk, looked at and not opened.
package struct DatabaseFiles {
    package typealias Place = DatabaseInspector<LinuxStorage>.Place

    private let path: String
    private let inspector: DatabaseInspector<LinuxStorage>

    /// Lends the files of the database in the folder at `path` to `body`.
    ///
    /// Throws ``DatabaseError/Code/notADatabase`` for a folder of other things or none.
    package static func inspect<Value>(
        at path: String, _ body: (DatabaseFiles) async throws -> Value
    ) async throws -> Value {
        let storage: LinuxStorage
        do {
            storage = try await LinuxStorage.open(root: path, .init(createsRoot: false))
        } catch {
            guard error.code == .notFound || error.code == .wrongKind else {
                throw DatabaseError(error, path)
            }
            throw DatabaseError(
                .notADatabase, "\(path): expected a folder with a database, found none",
                cause: error)
        }
        return try await body(
            DatabaseFiles(path: path, inspector: try await .init(storage, name: path)))
    }

    /// What is wrong with the catalog.
    package var catalogDamage: [Damage] { inspector.catalogDamage }
    /// The logs that are there, topics first.
    package var places: [Place] { inspector.places }

    /// The logs of a topic, or all. Throws ``DatabaseError/Code/unknownTopic``.
    package func places(
        topic: String?, partition: Int? = nil
    ) throws(DatabaseError) -> [Place] {
        guard let topic else { return places }
        let all = places.filter { $0.kind == "topic" && $0.name == topic }
        guard !all.isEmpty else {
            throw DatabaseError(
                .unknownTopic, "\(path) has no topic \(String(reflecting: topic))")
        }
        guard let partition else { return all }
        let chosen = all.filter { $0.partition == partition }
        guard !chosen.isEmpty else {
            throw DatabaseError(
                .unknownTopic,
                "the topic \(topic) has no partition \(partition): expected 0 to \(all.count - 1)")
        }
        return chosen
    }

    /// Inspects one log; see ``DatabaseInspector``.
    package func inspect(
        _ place: Place, _ options: InspectionOptions,
        emit: @escaping (InspectionItem) throws -> Void
    ) async throws -> VerificationReport {
        try await inspector.inspect(place, options, emit: emit)
    }
}
