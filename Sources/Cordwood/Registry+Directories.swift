import CordwoodLog
import CordwoodStorage

/// The folders of topics and collections.
extension Registry {
    /// Makes `kind/name`, durable up to the root. For what `isNew` an attempt that failed may have
    /// left something, which is taken away first; and with it the folder of what `isFirst` of its
    /// kind.
    func directory(
        _ kind: String, _ name: String, isNew: Bool, isFirst: Bool
    ) async throws(DatabaseError) -> StoragePath {
        let parent: StoragePath
        let directory: StoragePath
        let leftovers: [StoragePath]
        do throws(StorageError) {
            parent = try StoragePath.root.appending(kind)
            directory = try parent.appending(name)
            leftovers = isNew ? try await folders(in: directory) : []
        } catch { throw DatabaseError(error, self.name) }
        do throws(LogError) { try await AbandonedLog.remove(leftovers, on: storage) } catch {
            throw DatabaseError(error, self.name)
        }
        do throws(StorageError) {
            if isNew { try await storage.removeDirectoryIfEmpty(directory) }
            if isNew, isFirst { try await storage.removeDirectoryIfEmpty(parent) }
            try await storage.createDirectory(directory)
            try await storage.syncDirectory(.root)
            try await storage.syncDirectory(parent)
            return directory
        } catch { throw DatabaseError(error, self.name) }
    }

    /// The folders in a folder, if there is one.
    private func folders(in directory: StoragePath) async throws(StorageError) -> [StoragePath] {
        let entries: [DirectoryEntry]
        do throws(StorageError) { entries = try await storage.entries(of: directory) } catch {
            if error.code == .notFound { return [] }
            throw error
        }
        // A name that cannot be a path's is none of a log's.
        return entries.filter { $0.kind == .directory }
            .compactMap { try? directory.appending($0.name) }
    }
}
