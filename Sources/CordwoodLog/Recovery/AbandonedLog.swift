package import CordwoodStorage

/// What an attempt to create a log left in a directory.
///
/// Where that attempt failed because a name could not be made durable, syncing the same name again
/// proves nothing: the system reports a failure once. So the next attempt begins with new names.
package enum AbandonedLog {
    /// Removes a log that nobody has heard of, and its directory.
    ///
    /// Throws ``LogError/Code/inconsistent``, with nothing removed, where a segment holds records:
    /// whatever was to know of them has lost something. Files that are no log's stay, and then so
    /// does the directory. O(bytes).
    package static func remove<S: Storage>(
        _ directory: StoragePath, on storage: S
    ) async throws(LogError) {
        let names: [String]
        do throws(StorageError) {
            names = try await storage.entries(of: directory).map(\.name)
        } catch { throw LogError(error, while: "looking for what is left in \(directory)") }
        for id in names.compactMap(SegmentFiles.id(ofLogNamed:)) {
            let path = SegmentFiles.log(id, in: directory)
            guard try await ActiveSegment.isUnused(path, on: storage) else {
                throw LogError(
                    .inconsistent,
                    "\(path) holds records, but nothing names its log; nothing was changed")
            }
        }
        do throws(StorageError) {
            for name in names where SegmentFiles.isOfALog(name) {
                try await storage.removeIfPresent(try directory.appending(name))
            }
            try await storage.removeDirectoryIfEmpty(directory)
        } catch { throw LogError(error, while: "removing what is left in \(directory)") }
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
