#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A directory on a real disk that is removed, with all in it, when released.
///
/// `CORDWOOD_TEST_DIRECTORY` names where; `/tmp` by default.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init() {
        let parent = getenv("CORDWOOD_TEST_DIRECTORY").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/cordwood-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            fatalError("mkdtemp in \(parent) failed with errno \(errno)")
        }
        path = String(cString: made)
    }

    deinit { Self.remove(path) }

    /// A path in the directory.
    public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file in the directory and returns its path.
    @discardableResult
    public func write(_ name: String, _ bytes: [UInt8]) -> String {
        let file = fopen(self(name), "w")
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        return self(name)
    }

    @discardableResult
    public func write(_ name: String, _ text: String) -> String { write(name, Array(text.utf8)) }

    /// Every file and folder below a folder of this one; files with their bytes.
    public func snapshot(_ name: String) -> [String: [UInt8]] { Self.snapshot(self(name)) }

    /// A file's bytes; none where there is no such file.
    public static func contents(of path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func snapshot(_ path: String) -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in names(in: path) {
            let child = "\(path)/\(name)"
            if isFolder(child) {
                files[child] = []
                files.merge(snapshot(child)) { first, _ in first }
            } else {
                files[child] = contents(of: child)
            }
        }
        return files
    }

    /// Removes a directory and what is in it, links unfollowed.
    private static func remove(_ path: String) {
        for name in names(in: path) {
            let child = "\(path)/\(name)"
            if isFolder(child) { remove(child) } else { unlink(child) }
        }
        rmdir(path)
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The names in a directory, in no order.
    public static func names(in path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
