package import CordwoodStorage

/// What an attempt to create logs left in their directories.
///
/// Where that attempt failed because a name could not be made durable, syncing the same name again
/// proves nothing: the system reports a failure once. So the next attempt begins with new names.
package enum AbandonedLog {
    /// Removes logs that nobody has heard of, and their directories.
    ///
    /// Throws ``LogError/Code/inconsistent``, with nothing removed, where a segment of any of them
    /// holds records: whatever was to know of them has lost something. Files that are no log's stay,
    /// and then so does their directory. O(bytes).
    package static func remove<S: Storage>(
        _ directories: [StoragePath], on storage: S
    ) async throws(LogError) {
        for directory in directories { try await checkIsUnused(directory, on: storage) }
        do throws(StorageError) {
            for directory in directories {
                for name in try await names(in: directory, on: storage)
                where SegmentFiles.isOfALog(name) {
                    try await storage.removeIfPresent(try directory.appending(name))
                }
                try await storage.removeDirectoryIfEmpty(directory)
            }
        } catch { throw LogError(error, while: "removing what is left of a log") }
    }

    private static func checkIsUnused<S: Storage>(
        _ directory: StoragePath, on storage: S
    ) async throws(LogError) {
        let found: [String]
        do throws(StorageError) { found = try await names(in: directory, on: storage) } catch {
            throw LogError(error, while: "looking for what is left in \(directory)")
        }
        for id in found.compactMap(SegmentFiles.id(ofLogNamed:)) {
            let path = SegmentFiles.log(id, in: directory)
            guard try await ActiveSegment.isUnused(path, on: storage) else {
                throw LogError(
                    .inconsistent,
                    "\(path) holds records, but nothing names its log; nothing was changed")
            }
        }
    }

    private static func names<S: Storage>(
        in directory: StoragePath, on storage: S
    ) async throws(StorageError) -> [String] {
        try await storage.entries(of: directory).map(\.name)
    }
}

extension Storage {
    /// Removes a directory, if it is there and empty.
    package func removeDirectoryIfEmpty(_ path: StoragePath) async throws(StorageError) {
        do throws(StorageError) { try await removeDirectory(path) } catch {
            if error.code != .notFound, error.code != .notEmpty { throw error }
        }
    }
}
