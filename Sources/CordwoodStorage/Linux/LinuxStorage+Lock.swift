import CLiburing
import Glibc

extension LinuxStorage {
    public func lock(_ path: StoragePath) async throws(StorageError) -> any StorageLock {
        try await fileWorkers.run { [resolver] () throws(StorageError) in
            try LinuxLock(path, resolver: resolver)
        }
    }
}

/// A `flock` on a file, which holds the process number of its owner as text.
///
/// flock belongs to the open file, not to the process: a second storage of the same process is
/// refused like any other.
private final class LinuxLock: StorageLock {
    /// Longer than any process number.
    private static let maximumHolderBytes = 32

    private let descriptor: FileDescriptor

    init(_ path: StoragePath, resolver: PathResolver) throws(StorageError) {
        descriptor = try resolver.openFile(path, flags: O_RDWR | O_CREAT)
        let number = descriptor.number
        if case .failure(let error) = systemCall({ flock(number, LOCK_EX | LOCK_NB) }) {
            guard error.number == EWOULDBLOCK else { throw error.on(path, "flock") }
            throw StorageError(
                .locked, operation: "lock", path: path.description, errno: error.number,
                detail: Self.holder(number))
        }
        // Only for the message above: no one trusts these bytes, so they need no sync.
        let text = Array("\(getpid())\n".utf8)
        try check(path, "ftruncate") { ftruncate(number, 0) }
        try check(path, "write") { pwrite(number, text, text.count, 0) }
    }

    /// Says who holds the lock, as far as the file tells.
    private static func holder(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: maximumHolderBytes)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let digits = bytes.prefix(max(count, 0)).prefix { $0 != UInt8(ascii: "\n") }
        guard let process = Int32(String(decoding: digits, as: UTF8.self)) else {
            return "held by a process that has not said its number"
        }
        return "held by process \(process)" + (process == getpid() ? ", this one" : "")
    }
}
