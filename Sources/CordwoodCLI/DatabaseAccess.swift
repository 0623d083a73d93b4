import Cordwood

/// Opens the database of one command, and closes it however the command ends.
enum DatabaseAccess {
    static func withDatabase<Value>(
        at path: String, creating: Bool = false, _ body: (Database) async throws -> Value
    ) async throws -> Value {
        var options = DatabaseOptions()
        options.mode = creating ? .openOrCreate : .openExisting
        let database = try await open(at: path, options)
        let value: Value
        do {
            value = try await body(database)
        } catch {
            // The first error is the one to tell; closing may well fail for the same reason.
            try? await database.close()
            throw error
        }
        try await database.close()
        return value
    }

    private static func open(
        at path: String, _ options: DatabaseOptions
    ) async throws -> Database {
        do {
            return try await Database.open(at: path, options)
        } catch let error as DatabaseError where error.code == .notADatabase {
            throw CommandError(
                "\(error)\nCreate one with: cordwood topic create \(path) TOPIC, or: "
                    + "cordwood collection create \(path) NAME --dimensions D --metric M")
        }
    }
}
