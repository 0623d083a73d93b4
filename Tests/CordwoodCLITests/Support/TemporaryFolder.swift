import Glibc

/// A folder that is removed with its last reference.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/cordwood-command-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit { Self.remove(path) }

    /// A path in the folder.
    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file in the folder and returns its path.
    func write(_ name: String, _ bytes: [UInt8]) -> String {
        let file = fopen(self(name), "w")
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        return self(name)
    }

    func write(_ name: String, _ text: String) -> String { write(name, Array(text.utf8)) }

    /// Every file below a folder of this one, with its bytes.
    func snapshot(_ name: String) -> [String: [UInt8]] {
        Self.snapshot(self(name))
    }

    static func contents(of path: String) -> [UInt8] {
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

    private static func names(in path: String) -> [String] {
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
