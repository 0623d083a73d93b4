import Glibc

/// How a ``LinuxStorage`` writes, reads and syncs.
public enum IOPath: String, Sendable, CaseIterable {
    /// By an io_uring.
    case uring
    /// By plain system calls on worker threads.
    case threads

    static let environmentVariable = "CORDWOOD_IO"

    /// What the environment insists on; nil where it says nothing. Any other value is an error
    /// that names it.
    static func fromEnvironment() throws(StorageError) -> IOPath? {
        guard let value = getenv(environmentVariable) else { return nil }
        return try parse(String(cString: value))
    }

    static func parse(_ value: String) throws(StorageError) -> IOPath {
        guard let path = IOPath(rawValue: value) else {
            throw StorageError(
                .failed, operation: "configure", path: StoragePath.root.description,
                detail: "\(environmentVariable) must be uring or threads, found "
                    + String(reflecting: String(value.prefix(64))))
        }
        return path
    }
}
