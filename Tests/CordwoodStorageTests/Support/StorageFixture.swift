import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

/// A storage in a directory of its own, removed afterwards.
func withStorage<Value: Sendable>(
    _ ioPath: IOPath, _ body: (LinuxStorage, String) async throws -> Value
) async throws -> Value {
    let root = TemporaryDirectory()
    let storage = try await LinuxStorage.open(root: root.path, .init(ioPath: ioPath))
    #expect(storage.ioPath == ioPath)
    return try await body(storage, root.path)
}

func path(_ names: String...) throws -> StoragePath {
    var path = StoragePath.root
    for name in names { path = try path.appending(name) }
    return path
}

extension MemoryBlock {
    var array: [UInt8] { Array(unsafeBytes) }
}

extension MemorySlice {
    init(_ bytes: [UInt8]) { self.init(MemoryBlock(copying: bytes)) }
}

extension StorageFile {
    func write(_ bytes: [UInt8], at position: Int = 0, thenSync: Bool = false) async throws {
        try await write([FileWrite(at: position, [MemorySlice(bytes)])], thenSync: thenSync)
    }
}

/// Expects a storage error of that code, and returns it for a closer look.
@discardableResult
func expectError(
    _ code: StorageError.Code, _ body: () async throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
) async -> StorageError? {
    do {
        try await body()
        Issue.record("expected the error \(code), none was thrown", sourceLocation: sourceLocation)
        return nil
    } catch let error as StorageError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record("expected a storage error, found \(error)", sourceLocation: sourceLocation)
        return nil
    }
}
