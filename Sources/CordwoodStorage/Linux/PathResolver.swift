import CLiburing
import Glibc

/// Opens files below a root directory, never through a symbolic link.
///
/// One openat2 where the kernel has it, which refuses links in every component; one openat a
/// component otherwise, each with O_NOFOLLOW. Names were checked by ``StoragePath``, so that there
/// is no `..` to climb by. All calls may block: they are made on a worker thread.
struct PathResolver: Sendable {
    private static let fileMode: mode_t = 0o644
    private static let directoryMode: mode_t = 0o755

    let root: FileDescriptor
    let usesOpenat2: Bool

    /// `usesOpenat2` nil asks the kernel.
    init(root: FileDescriptor, usesOpenat2: Bool? = nil) {
        self.root = root
        self.usesOpenat2 = usesOpenat2 ?? Self.hasOpenat2(root)
    }

    /// ENOSYS before Linux 5.6; EPERM from sandboxes that do not know it.
    private static func hasOpenat2(_ root: FileDescriptor) -> Bool {
        let result = systemCall {
            cordwood_openat2(root.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        }
        guard case .success(let number) = result else { return false }
        _ = FileDescriptor(adopting: number)
        return true
    }

    /// Opens a regular file with `flags`; anything else is refused as `.wrongKind`.
    func openFile(_ path: StoragePath, flags: Int32) throws(StorageError) -> FileDescriptor {
        // O_NONBLOCK keeps the open of a FIFO from waiting for its other end.
        let descriptor = try open(path, flags: flags | O_NONBLOCK, operation: "open")
        var status = stat()
        _ = try check(path, "fstat") { fstat(descriptor.number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw StorageError(
                .wrongKind, operation: "open", path: path.description,
                detail: "expected a regular file, found \(Self.kindName(status.st_mode))")
        }
        _ = try check(path, "fcntl") { cordwood_clear_nonblocking(descriptor.number) }
        return descriptor
    }

    func openDirectory(_ path: StoragePath) throws(StorageError) -> FileDescriptor {
        try open(path, flags: O_RDONLY | O_DIRECTORY, operation: "open")
    }

    /// The directory that holds `path`, and its name in there. The root itself has neither.
    func openParent(
        of path: StoragePath, operation: String
    ) throws(StorageError) -> (directory: FileDescriptor, name: String) {
        guard let name = path.names.last else {
            throw StorageError(
                .wrongKind, operation: operation, path: path.description,
                detail: "expected a file below the root, found the root")
        }
        return (try openDirectory(path.parent), name)
    }

    /// Creates a directory, and those above it, where missing.
    func createDirectory(_ path: StoragePath) throws(StorageError) {
        var directory = root
        for name in path.names {
            let made = systemCall { mkdirat(directory.number, name, Self.directoryMode) }
            if case .failure(let error) = made, error.number != EEXIST {
                throw error.on(path, "mkdir")
            }
            // What exists under the name must be a directory: a file or a link is refused here.
            directory = try openComponent(
                name, in: directory, flags: O_RDONLY | O_DIRECTORY, path: path, operation: "mkdir")
        }
    }

    private func open(
        _ path: StoragePath, flags: Int32, operation: String
    ) throws(StorageError) -> FileDescriptor {
        guard usesOpenat2 || path.names.isEmpty else {
            return try openByComponents(path, flags: flags, operation: operation)
        }
        let number = try check(path, operation) {
            let flags = flags | O_CLOEXEC | O_NOFOLLOW
            return path.names.isEmpty
                ? cordwood_openat(root.number, ".", flags, 0)
                : cordwood_openat2(root.number, path.description, flags, Self.fileMode)
        }
        return FileDescriptor(adopting: number)
    }

    private func openByComponents(
        _ path: StoragePath, flags: Int32, operation: String
    ) throws(StorageError) -> FileDescriptor {
        var directory = root
        for name in path.names.dropLast() {
            directory = try openComponent(
                name, in: directory, flags: O_RDONLY | O_DIRECTORY, path: path,
                operation: operation)
        }
        return try openComponent(
            path.names[path.names.count - 1], in: directory, flags: flags, path: path,
            operation: operation)
    }

    private func openComponent(
        _ name: String, in directory: FileDescriptor, flags: Int32, path: StoragePath,
        operation: String
    ) throws(StorageError) -> FileDescriptor {
        let number = try check(path, operation) {
            cordwood_openat(
                directory.number, name, flags | O_CLOEXEC | O_NOFOLLOW, Self.fileMode)
        }
        return FileDescriptor(adopting: number)
    }

    static func kindName(_ mode: mode_t) -> String {
        switch mode & S_IFMT {
        case S_IFDIR: "a directory"
        case S_IFLNK: "a symbolic link"
        case S_IFIFO: "a FIFO"
        case S_IFSOCK: "a socket"
        case S_IFCHR, S_IFBLK: "a device"
        default: "a file of unknown kind"
        }
    }
}

/// Makes a system call and reports its failure as an error of `operation` on `path`.
@discardableResult
func check<Number: FixedWidthInteger & SignedInteger>(
    _ path: StoragePath, _ operation: String, _ call: () -> Number
) throws(StorageError) -> Number {
    switch systemCall(call) {
    case .success(let result): return result
    case .failure(let error): throw error.on(path, operation)
    }
}
