#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where the demo's database lies: a new temporary folder, or an empty one that the caller named.
struct DemoFolder: Sendable {
    let path: String

    init(_ wanted: String?) throws {
        guard let wanted else {
            path = try Self.makeTemporary()
            return
        }
        guard try Self.isMissingOrEmpty(wanted) else {
            throw CommandError(
                "\(wanted) is not empty: the demo needs a missing or an empty folder")
        }
        path = wanted
    }

    /// The file system that holds the folder, as the system names it; nil where it does not say.
    /// A figure from memory (`tmpfs`) is no figure of durability.
    var fileSystem: String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        let folder = String(cString: resolved)
        guard let mounts = try? LineFile("/proc/self/mounts").next(4096) else { return nil }
        let fields = mounts.map { $0.split(separator: " ") }.filter { $0.count > 2 }
        return fields.filter {
            folder == $0[1] || folder.hasPrefix($0[1] == "/" ? "/" : $0[1] + "/")
        }
        .max { $0[1].count < $1[1].count }.map { String($0[2]) }
    }

    /// Removes the folder and all that is in it.
    func remove() {
        do {
            try Self.remove(path)
        } catch {
            FileDescriptor.report("cordwood: \(error)")
        }
    }

    /// Depth first; a symbolic link is removed, never followed.
    private static func remove(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw failure("find", path) }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try entries(of: path) { try remove("\(path)/\(name)") }
            guard rmdir(path) == 0 else { throw failure("remove", path) }
        } else {
            guard unlink(path) == 0 else { throw failure("remove", path) }
        }
    }

    private static func makeTemporary() throws -> String {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/cordwood-demo-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw failure("make a folder in", base)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func isMissingOrEmpty(_ path: String) throws -> Bool {
        if access(path, F_OK) != 0, errno == ENOENT { return true }
        return try entries(of: path).isEmpty
    }

    private static func entries(of path: String) throws -> [String] {
        guard let stream = opendir(path) else { throw failure("open", path) }
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

    private static func failure(_ operation: String, _ path: String) -> CommandError {
        CommandError("cannot \(operation) \(path): \(String(cString: strerror(errno)))")
    }
}
