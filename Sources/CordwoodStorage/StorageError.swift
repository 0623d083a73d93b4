/// What a storage call reports: which operation failed, on which file, and why.
public struct StorageError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// A name that is outside the allow-list of ``StoragePath``.
        public static let invalidName = Code(description: "invalid name")
        /// No such file or directory.
        public static let notFound = Code(description: "not found")
        /// The file exists although it must not.
        public static let exists = Code(description: "already exists")
        /// A link, directory, FIFO or device where a regular file is expected, or the reverse.
        public static let wrongKind = Code(description: "wrong kind of file")
        /// A directory that is to be removed holds something.
        public static let notEmpty = Code(description: "not empty")
        /// Another process, or another storage of this one, holds the lock.
        public static let locked = Code(description: "locked by another holder")
        /// The device is full. Nothing may be assumed of the ranges being written.
        public static let noSpace = Code(description: "no space left")
        /// The device failed, or the kernel refused the operation for a reason with no code of its
        /// own; ``StorageError/errno`` has the kernel's number.
        public static let failed = Code(description: "input/output failed")
        /// The storage or the file was closed.
        public static let closed = Code(description: "closed")
    }

    public var code: Code
    /// The operation as the system names it: `open`, `write`, `fdatasync`, …
    public var operation: String
    /// The file, relative to the storage's root.
    public var path: String
    /// The kernel's error number, where the kernel was asked.
    public var errno: Int32?
    /// What was expected and found.
    public var detail: String

    public init(
        _ code: Code, operation: String, path: String, errno: Int32? = nil, detail: String = ""
    ) {
        self.code = code
        self.operation = operation
        self.path = path
        self.errno = errno
        self.detail = detail
    }

    public var description: String {
        var text = "\(operation) \(path): \(code)"
        if let errno { text += " (errno \(errno))" }
        if !detail.isEmpty { text += ": \(detail)" }
        return text
    }
}
