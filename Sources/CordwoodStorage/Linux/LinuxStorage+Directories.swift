import CLiburing
import Glibc

extension LinuxStorage {
    public func createDirectory(_ path: StoragePath) async throws(StorageError) {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            try resolver.createDirectory(path)
        }
    }

    public func entries(
        of directory: StoragePath
    ) async throws(StorageError) -> [DirectoryEntry] {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            try Self.list(try resolver.openDirectory(directory), path: directory)
        }
    }

    public func rename(
        _ source: StoragePath, to target: StoragePath
    ) async throws(StorageError) {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            let from = try resolver.openParent(of: source, operation: "rename")
            let to = try resolver.openParent(of: target, operation: "rename")
            switch systemCall({
                renameat(from.directory.number, from.name, to.directory.number, to.name)
            }) {
            case .success: return
            case .failure(let error): throw error.on(source, "rename", detail: "to \(target)")
            }
        }
    }

    public func remove(_ path: StoragePath) async throws(StorageError) {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            let (directory, name) = try resolver.openParent(of: path, operation: "unlink")
            try check(path, "unlink") { unlinkat(directory.number, name, 0) }
        }
    }

    public func removeDirectory(_ path: StoragePath) async throws(StorageError) {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            let (directory, name) = try resolver.openParent(of: path, operation: "rmdir")
            try check(path, "rmdir") { unlinkat(directory.number, name, AT_REMOVEDIR) }
        }
    }

    public func syncDirectory(_ path: StoragePath) async throws(StorageError) {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            let directory = try resolver.openDirectory(path)
            // One call, never made again: a second one could succeed without having synced.
            if cordwood_sync_directory(directory.number) != 0 {
                throw Errno(errno).on(path, "fsync")
            }
        }
    }

    /// Reads a directory. Bytes of a name that are no UTF-8 are replaced: such a name is outside
    /// what ``StoragePath`` allows in any case, but the caller learns that something is there.
    private static func list(
        _ directory: FileDescriptor, path: StoragePath
    ) throws(StorageError) -> [DirectoryEntry] {
        // closedir closes the descriptor that it is given, so it gets one of its own.
        let number = try check(path, "dup") { fcntl(directory.number, F_DUPFD_CLOEXEC, 0) }
        guard let stream = fdopendir(number) else {
            let failure = Errno(errno)
            _ = FileDescriptor(adopting: number)
            throw failure.on(path, "fdopendir")
        }
        defer { closedir(stream) }

        var entries: [DirectoryEntry] = []
        while true {
            // readdir returns nil for the end and for an error; the number tells them apart.
            errno = 0
            guard let entry = readdir(stream) else {
                let number = errno
                if number != 0 { throw Errno(number).on(path, "readdir") }
                break
            }
            let name = entryName(entry)
            if name == "." || name == ".." { continue }
            entries.append(
                DirectoryEntry(name: name, kind: try kind(of: entry, in: directory, path: path)))
        }
        return entries.sorted { $0.name < $1.name }
    }

    private static func entryName(_ entry: UnsafeMutablePointer<dirent>) -> String {
        let offset = MemoryLayout<dirent>.offset(of: \.d_name)!
        let name = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
        return String(cString: name)
    }

    private static func kind(
        of entry: UnsafeMutablePointer<dirent>, in directory: FileDescriptor, path: StoragePath
    ) throws(StorageError) -> DirectoryEntry.Kind {
        switch Int(entry.pointee.d_type) {
        case Int(DT_REG): return .file
        case Int(DT_DIR): return .directory
        case Int(DT_UNKNOWN): break
        default: return .other
        }
        // Some file systems do not say the kind in the listing.
        let offset = MemoryLayout<dirent>.offset(of: \.d_name)!
        let name = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
        var status = stat()
        try check(path, "fstatat") {
            fstatat(directory.number, name, &status, AT_SYMLINK_NOFOLLOW)
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        default: return .other
        }
    }
}
