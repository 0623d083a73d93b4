import Cordwood

/// Opens the database of one command, and closes it however the command ends.
enum DatabaseAccess {
    static func withDatabase<Value>(
        at path: String, creating: Bool = false,
        buildThreads: Int = DatabaseOptions.defaultBuildThreads,
        _ body: (Database) async throws -> Value
    ) async throws -> Value {
        let database = try await open(
            at: path,
            DatabaseOptions(
                mode: creating ? .openOrCreate : .openExisting, buildThreads: buildThreads))
        do {
            let value = try await body(database)
            try await database.close()
            return value
        } catch {
            // The first error is the one to tell; closing again does nothing, or fails for the
            // same reason.
            try? await database.close()
            throw error
        }
    }

    private static func open(
        at path: String, _ options: DatabaseOptions
    ) async throws -> Database {
        do {
            return try await Database.open(at: path, options)
        } catch {
            throw options.mode == .openExisting ? explained(error, path) : error
        }
    }

    /// Lends a database's files, which are looked at without opening it.
    static func withFiles<Value>(
        at path: String, _ body: (DatabaseFiles) async throws -> Value
    ) async throws -> Value {
        do {
            return try await DatabaseFiles.inspect(at: path, body)
        } catch let error as DatabaseError { throw explained(error, path) }
    }

    /// Tells whoever expected a database where one comes from.
    private static func explained(_ error: DatabaseError, _ path: String) -> any Error {
        guard error.code == .notADatabase else { return error }
        return CommandError(
            "\(error)\nCreate one with: cordwood topic create \(path) TOPIC, or: "
                + "cordwood collection create \(path) NAME --dimensions D --metric M")
    }
}
