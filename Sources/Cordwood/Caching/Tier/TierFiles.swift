import CordwoodStorage

/// The files of one disk tier, whatever storage they lie on.
protocol TierFiles: Sendable {
    /// The numbers of the blocks that there are.
    func blocks() async throws(StorageError) -> [UInt64]
    /// Nil where there is none.
    func readManifest() async throws(StorageError) -> MemoryBlock?
    /// Durable when it returns.
    func replaceManifest(with bytes: MemoryBlock) async throws(StorageError)
    /// Durable when it returns. Returned open.
    func write(_ number: UInt64, _ bytes: MemoryBlock) async throws(StorageError)
        -> any StorageFile
    func open(_ number: UInt64) async throws(StorageError) -> any StorageFile
    func remove(_ number: UInt64) async throws(StorageError)
    func newIdentity() -> UInt64
}

/// `views/NAME/tier` and `views/NAME/NUMBER.block` on a storage.
struct StorageTierFiles<S: Storage>: TierFiles {
    private static var manifestName: String { "tier" }
    private static var blockSuffix: String { ".block" }

    let storage: S
    let name: String

    private var folder: StoragePath {
        get throws(StorageError) { try StoragePath.root.appending("views").appending(name) }
    }

    private func path(_ number: UInt64) throws(StorageError) -> StoragePath {
        try folder.appending("\(number)\(Self.blockSuffix)")
    }

    func blocks() async throws(StorageError) -> [UInt64] {
        let folder = try folder
        try await storage.createDirectory(folder)
        for directory in [folder.parent, .root] { try await storage.syncDirectory(directory) }
        return try await storage.entries(of: folder).compactMap { entry in
            guard entry.kind == .file, entry.name.hasSuffix(Self.blockSuffix) else { return nil }
            return UInt64(entry.name.dropLast(Self.blockSuffix.count))
        }
    }

    func readManifest() async throws(StorageError) -> MemoryBlock? {
        let file: S.File
        do throws(StorageError) {
            file = try await storage.open(try folder.appending(Self.manifestName), .read)
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
        let size = try await file.size()
        let bytes = try await file.read(
            at: 0, count: min(size, TierManifest.maximumBytes + 1))
        await file.close()
        return bytes
    }

    func replaceManifest(with bytes: MemoryBlock) async throws(StorageError) {
        try await storage.replaceFile(try folder.appending(Self.manifestName), with: bytes)
    }

    func write(
        _ number: UInt64, _ bytes: MemoryBlock
    ) async throws(StorageError) -> any StorageFile {
        let file = try await storage.open(try path(number), .openOrCreate)
        // One of that number may be left of an attempt that failed.
        try await file.truncate(to: 0)
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(bytes)])], thenSync: true, inBackground: true)
        try await storage.syncDirectory(folder)
        return file
    }

    func open(_ number: UInt64) async throws(StorageError) -> any StorageFile {
        try await storage.open(try path(number), .read)
    }

    func remove(_ number: UInt64) async throws(StorageError) {
        try await storage.remove(try path(number))
    }

    func newIdentity() -> UInt64 { storage.randomIdentity() }
}
