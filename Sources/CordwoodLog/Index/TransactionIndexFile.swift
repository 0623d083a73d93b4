import CordwoodStorage

/// A segment's transaction index on disk, written whole.
struct TransactionIndexFile<S: Storage> {
    let header: SegmentHeader
    let directory: StoragePath
    let storage: S

    var path: StoragePath { SegmentFiles.transactionIndex(header.id, in: directory) }

    /// The index of the segment that ends at `end`; nil when it is missing or not sound.
    func load(end: Int64) async throws(LogError) -> TransactionIndex? {
        let content: MemoryBlock?
        do throws(StorageError) {
            content = try await storage.content(
                of: path, maximumBytes: TransactionIndex.maximumFileBytes)
        } catch {
            // A bad sector here must not make records unreadable: the segment has all it takes.
            return nil
        }
        guard let content else { return nil }
        return withExtendedLifetime(content) {
            TransactionIndex(content.unsafeBytes, header: header, end: end)
        }
    }

    /// Writes the index under a temporary name, syncs it and renames it into place, durably.
    func replace(with index: TransactionIndex) async throws(StorageError) {
        try await storage.replace(path, with: index.encode(header), in: directory)
    }
}

extension Storage {
    /// Removes a file where there is one.
    func removeIfPresent(_ path: StoragePath) async throws(StorageError) {
        do throws(StorageError) { try await remove(path) } catch {
            if error.code != .notFound { throw error }
        }
    }

    /// All of a small file; nil when there is none, or a larger one.
    func content(
        of path: StoragePath, maximumBytes: Int
    ) async throws(StorageError) -> MemoryBlock? {
        let file: File
        do throws(StorageError) {
            file = try await open(path, .read)
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
        let content: Result<MemoryBlock?, StorageError>
        do throws(StorageError) {
            let size = try await file.size()
            content = .success(
                size <= maximumBytes ? try await file.read(at: 0, count: size) : nil)
        } catch { content = .failure(error) }
        await file.close()
        return try content.get()
    }

    /// Puts a small file in place, durably: old or new, never a mix.
    func replace(
        _ path: StoragePath, with content: [MemorySlice], in directory: StoragePath
    ) async throws(StorageError) {
        try await exchange(path, with: content, sync: true, in: directory)
        try await syncDirectory(directory)
    }

    /// The same, but its name is not durable yet, nor without `sync` the content.
    func exchange(
        _ path: StoragePath, with content: [MemorySlice], sync: Bool, in directory: StoragePath
    ) async throws(StorageError) {
        let staged = try directory.appending(path.names.last! + ".new")
        let file = try await open(staged, .openOrCreate)
        let result: Result<Void, StorageError>
        do throws(StorageError) {
            try await file.truncate(to: 0)
            try await file.write([FileWrite(at: 0, content)], thenSync: sync)
            result = .success(())
        } catch { result = .failure(error) }
        await file.close()
        try result.get()
        try await rename(staged, to: path)
    }
}
