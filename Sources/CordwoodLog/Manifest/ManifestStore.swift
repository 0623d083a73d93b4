import CordwoodStorage

/// A log's manifest and the file that keeps it.
///
/// Not thread-safe: the log, an actor, owns it and changes it one edit after the other
/// (``StructureLock``).
final class ManifestStore<S: Storage> {
    private(set) var manifest: Manifest
    /// Staged files that are being written: no garbage yet.
    var inProgress: Set<SegmentID> = []
    /// The file is written anew, in the fewest edits, when it has grown to so many bytes, and to
    /// four times what that came to: a log that runs for years must be able to open again.
    var rewriteBytes = 1 << 20
    private let file: EditLog<S.File>
    private let directory: StoragePath
    private let storage: S

    init(_ manifest: Manifest, _ file: EditLog<S.File>, directory: StoragePath, storage: S) {
        self.manifest = manifest
        self.file = file
        self.directory = directory
        self.storage = storage
    }

    /// The random number that all files of the log carry.
    var logID: UInt64 { file.identity }

    /// Makes edits durable, with one write and one sync, and then true.
    ///
    /// Edits that contradict the manifest are refused, with nothing written: what they speak of was
    /// read from files, which may lie. After any error the log must stop and be opened again; the
    /// file's end is unknown.
    func commit(_ edits: [SegmentEdit]) async throws(StorageError) {
        var next = manifest
        for edit in edits {
            do throws(LogError) { try next.apply(edit) } catch {
                throw StorageError(
                    .failed, operation: "edit", path: directory.description, detail: error.message)
            }
        }
        try await file.append(edits.map { $0.encode() })
        manifest = next
        if file.byteCount >= rewriteBytes { try await rewrite() }
    }

    private func rewrite() async throws(StorageError) {
        do throws(StorageError) {
            try await file.rewrite(as: manifest.snapshot().map { $0.encode() }, on: storage)
        } catch {
            // The edits are there all the same.
            if !error.isFullDisk { throw error }
        }
        rewriteBytes = max(rewriteBytes, 4 * file.byteCount)
    }

    /// Removes the files that the manifest has given up. What cannot be removed now stays garbage,
    /// and is tried again the next time; the manifest names it until its removal is durable.
    ///
    /// Returns the first failure, for a report: no record depends on it.
    func removeGarbage() async -> StorageError? {
        let garbage = manifest.garbage.subtracting(inProgress)
        guard !garbage.isEmpty else { return nil }
        var gone: Set<SegmentID> = []
        var failure: StorageError?
        for id in garbage.sorted() {
            do throws(StorageError) {
                for path in SegmentFiles.all(id, in: directory) { try await remove(path) }
                gone.insert(id)
            } catch { failure = failure ?? error }
        }
        do throws(StorageError) {
            try await storage.syncDirectory(directory)
            manifest.forget(gone)
        } catch { failure = failure ?? error }
        return failure
    }

    private func remove(_ path: StoragePath) async throws(StorageError) {
        do throws(StorageError) {
            try await storage.remove(path)
        } catch {
            if error.code != .notFound { throw error }
        }
    }

    func close() async { await file.close() }
}
