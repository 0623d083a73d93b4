import CordwoodStorage

extension Storage {
    /// Puts a file in the place of the one that has its name, or of none, as a whole: written under
    /// another name, synced, renamed. Durable when it returns, if its folder is. After an error either
    /// of the two may be there.
    func replaceFile(_ path: StoragePath, with bytes: MemoryBlock) async throws(StorageError) {
        let staged = try path.parent.appending(path.names.last! + ".new")
        let file = try await open(staged, .openOrCreate)
        do throws(StorageError) {
            try await file.truncate(to: 0)
            try await file.write([FileWrite(at: 0, [MemorySlice(bytes)])], thenSync: true)
        } catch {
            await file.close()
            throw error
        }
        await file.close()
        try await rename(staged, to: path)
        try await syncDirectory(path.parent)
    }
}
