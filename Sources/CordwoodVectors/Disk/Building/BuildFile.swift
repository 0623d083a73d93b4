internal import CordwoodStorage

/// The files that are beside an index while it is built, by what follows its name in theirs.
enum BuildFile: String, CaseIterable {
    /// The vectors, as they came.
    case rows = ".rows"
    /// What a build in pieces does not keep in memory.
    case pieces = ".pieces"
    /// The index that is to be.
    case staged = ".new"

    func path(beside path: StoragePath) throws(StorageError) -> StoragePath {
        try path.parent.appending((path.names.last ?? "") + rawValue)
    }

    /// Removes one if it is there.
    func remove(beside path: StoragePath, on storage: some Storage) async throws(StorageError) {
        do throws(StorageError) {
            try await storage.remove(try self.path(beside: path))
        } catch  where error.code == .notFound {}
    }

    /// Removes those that are there, and returns the first error.
    static func removeAll(
        beside path: StoragePath, on storage: some Storage
    ) async -> StorageError? {
        var first: StorageError?
        for file in allCases {
            do throws(StorageError) {
                try await file.remove(beside: path, on: storage)
            } catch { first = first ?? error }
        }
        return first
    }
}
