import CordwoodSimulation
import CordwoodStorage

/// A path from names with slashes between them.
func path(_ text: String) throws -> StoragePath {
    var path = StoragePath.root
    for name in text.split(separator: "/") { path = try path.appending(String(name)) }
    return path
}

/// One write of some bytes.
func bytes(_ bytes: [UInt8], at position: Int = 0) -> [FileWrite] {
    [FileWrite(at: position, [MemorySlice(MemoryBlock(copying: bytes))])]
}

/// One write of one byte, repeated.
func fill(_ byte: UInt8, _ count: Int, at position: Int = 0) -> [FileWrite] {
    bytes([UInt8](repeating: byte, count: count), at: position)
}

extension MemoryBlock {
    var array: [UInt8] { withBytes { span in span.withUnsafeBytes { [UInt8]($0) } } }
}

extension SimulatedStorage {
    /// A file with a durable name and durable contents.
    func durableFile(_ name: String, _ contents: [UInt8]) async throws -> SimulatedFile {
        let file = try await open(path(name), .create)
        try await file.write(bytes(contents), thenSync: true)
        try await syncDirectory(path(name).parent)
        return file
    }
}

/// The error that `body` throws, or nil.
func failure(_ body: () async throws -> Void) async -> StorageError? {
    do {
        try await body()
        return nil
    } catch { return error as? StorageError }
}
