import CLiburing
import Glibc

extension LinuxFile {
    /// Zeros written at once where the file system cannot reserve space by itself.
    private static let fillBytes = 1 << 20

    /// Never makes the file smaller. When the space cannot be had (`.noSpace`), the file keeps the
    /// size it had.
    public func preallocate(to size: Int) async throws(StorageError) {
        precondition(size >= 0, "a file cannot have \(size) bytes")
        let descriptor = try openDescriptor("fallocate")
        try await workers.run { [path] () throws(StorageError) in
            let oldSize = try Self.size(descriptor, path)
            do throws(StorageError) {
                try Self.reserve(descriptor, path, from: oldSize, to: size)
            } catch {
                // A part may have been added. If this fails too, the first error says more.
                if oldSize < size { _ = systemCall { ftruncate(descriptor.number, oldSize) } }
                throw error
            }
        }
    }

    private static func reserve(
        _ descriptor: FileDescriptor, _ path: StoragePath, from oldSize: Int, to size: Int
    ) throws(StorageError) {
        if size == 0 { return }
        switch systemCall({ cordwood_fallocate(descriptor.number, 0, size) }) {
        case .success: return
        case .failure(let error) where error.number == EOPNOTSUPP || error.number == ENOSYS:
            try fillWithZeros(descriptor, path, from: oldSize, to: size)
        case .failure(let error): throw error.on(path, "fallocate", detail: "to \(size) bytes")
        }
    }

    /// Extends the file by writing zeros: what reserves space everywhere.
    static func fillWithZeros(
        _ descriptor: FileDescriptor, _ path: StoragePath, from oldSize: Int, to size: Int
    ) throws(StorageError) {
        let zeros = [UInt8](repeating: 0, count: min(fillBytes, max(0, size - oldSize)))
        var position = oldSize
        while position < size {
            let count = min(zeros.count, size - position)
            let written = try check(path, "write") {
                pwrite(descriptor.number, zeros, count, off_t(position))
            }
            // Zero bytes without a reason would go on for ever.
            guard written > 0 else { throw Errno(EIO).on(path, "write") }
            position += written
        }
    }

    public func truncate(to size: Int) async throws(StorageError) {
        precondition(size >= 0, "a file cannot have \(size) bytes")
        let descriptor = try openDescriptor("ftruncate")
        try await workers.run { [path] () throws(StorageError) in
            _ = try check(path, "ftruncate") { ftruncate(descriptor.number, size) }
        }
    }
}
