import CordwoodSimulation
import CordwoodStorage

/// A simulated disk's folder for one file of an index.
struct IndexFileFixture {
    let path: StoragePath

    init(_ name: String) throws {
        path = try StoragePath.root.appending("indexes").appending(name)
    }

    /// A storage with the folder.
    func storage(seed: UInt64 = 1) async throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: seed)
        try await storage.createDirectory(path.parent)
        try await storage.syncDirectory(.root)
        return storage
    }

    func bytes(_ path: StoragePath, on storage: some Storage) async throws -> [UInt8] {
        let file = try await storage.open(path, .read)
        let block = try await file.read(at: 0, count: try await file.size())
        await file.close()
        return Array(block.unsafeBytes)
    }

    func replace(
        _ path: StoragePath, with bytes: [UInt8], on storage: some Storage
    ) async throws {
        let file = try await storage.open(path, .openOrCreate)
        try await file.truncate(to: 0)
        if !bytes.isEmpty {
            try await file.write(
                [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
        }
        await file.close()
    }
}

/// FNV-1a of some bytes.
func digest(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
