import Glibc
import Testing

@testable import CordwoodStorage

/// A storage in a directory of its own, removed afterwards.
///
/// `CORDWOOD_TEST_DIRECTORY` names where; `/tmp` by default.
func withStorage<Value: Sendable>(
    _ ioPath: IOPath, _ body: (LinuxStorage, String) async throws -> Value
) async throws -> Value {
    let root = try TemporaryDirectory()
    let storage = try await LinuxStorage.open(root: root.path, .init(ioPath: ioPath))
    #expect(storage.ioPath == ioPath)
    return try await body(storage, root.path)
}

/// A directory that is removed, with all in it, when released.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let parent = getenv("CORDWOOD_TEST_DIRECTORY").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/cordwood-test-XXXXXX".utf8CString)
        let made = mkdtemp(&template)
        try #require(made != nil, "mkdtemp failed with errno \(errno)")
        path = String(cString: made!)
    }

    deinit { removeTree(path) }
}

/// Removes a directory and what is in it, links unfollowed.
private func removeTree(_ path: String) {
    if let stream = opendir(path) {
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            if entry.pointee.d_type == 4 {
                removeTree("\(path)/\(name)")
            } else {
                unlink("\(path)/\(name)")
            }
        }
        closedir(stream)
    }
    rmdir(path)
}

func path(_ names: String...) throws -> StoragePath {
    var path = StoragePath.root
    for name in names { path = try path.appending(name) }
    return path
}

/// A repeatable generator (SplitMix64): a failing test prints its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
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
