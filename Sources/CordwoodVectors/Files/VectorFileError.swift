/// Why a file of vectors was refused or could not be read.
///
/// Nothing was changed: vector files are only read.
public struct VectorFileError: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        public let description: String

        /// The file is missing, not a regular file, or the system refuses to open it.
        public static let cannotOpen = Code(description: "cannot open")
        /// The name ends in no extension that this type reads.
        public static let unknownFormat = Code(description: "unknown format")
        /// The bytes are not what the format demands.
        public static let malformed = Code(description: "malformed")
        /// Well-formed, but of a kind that is not read: big-endian, Fortran order, objects, …
        public static let unsupported = Code(description: "unsupported")
        /// The file has fewer or more bytes than its header promises.
        public static let wrongSize = Code(description: "wrong size")
        /// The system failed to read the file.
        public static let readFailed = Code(description: "read failed")
    }

    public var code: Code
    public var path: String
    /// What was expected and found, and where.
    public var detail: String

    public init(_ code: Code, path: String, detail: String) {
        self.code = code
        self.path = path
        self.detail = detail
    }

    public var description: String { "\(path): \(code): \(detail)" }
}
