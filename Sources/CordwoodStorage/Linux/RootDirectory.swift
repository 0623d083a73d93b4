import CLiburing
import Glibc

/// Opens the directory that a storage is confined to. Blocks: for worker threads.
enum RootDirectory {
    /// Opens the directory at `path`, created with those above it where missing and asked for.
    static func open(_ path: String, creating: Bool) throws(StorageError) -> FileDescriptor {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw StorageError(
                .invalidName, operation: "open root", path: path,
                detail: "expected the path of a directory, found an empty one or a zero byte")
        }
        if creating { try create(path) }
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        return FileDescriptor(
            adopting: try checkRoot(path, "open root") {
                cordwood_openat(AT_FDCWD, path, flags, 0)
            })
    }

    /// Creates what is missing of `path`. Each directory's entry is synced, because nothing in the
    /// root is durable before the root itself is.
    private static func create(_ path: String) throws(StorageError) {
        var status = stat()
        if stat(path, &status) == 0 { return }
        let parent = parent(of: path)
        if parent != path { try create(parent) }
        // Another process may create it at the same moment.
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw error(Errno(errno), path, "create root")
        }
        let directory = FileDescriptor(
            adopting: try checkRoot(parent, "open root") {
                cordwood_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
            })
        // Not made again when it fails: see ``Storage``.
        if cordwood_sync_directory(directory.number) != 0 {
            throw error(Errno(errno), parent, "fsync")
        }
    }

    /// The path without its last component: `.` for a bare name, `/` for the top.
    static func parent(of path: String) -> String {
        var rest = Substring(path)
        while rest.count > 1, rest.last == "/" { rest.removeLast() }
        guard let slash = rest.lastIndex(of: "/") else { return "." }
        rest = rest[..<slash]
        while rest.last == "/" { rest.removeLast() }
        return rest.isEmpty ? "/" : String(rest)
    }

    private static func checkRoot(
        _ path: String, _ operation: String, _ call: () -> Int32
    ) throws(StorageError) -> Int32 {
        switch systemCall(call) {
        case .success(let result): return result
        case .failure(let failure): throw error(failure, path, operation)
        }
    }

    private static func error(_ number: Errno, _ path: String, _ operation: String) -> StorageError
    {
        var error = number.on(.root, operation)
        error.path = path
        return error
    }
}
