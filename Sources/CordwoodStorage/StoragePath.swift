/// A place inside a storage's root: zero or more names, each checked when it was added.
///
/// A name is 1 to ``maximumNameBytes`` bytes of `A-Z a-z 0-9 . _ -` and is neither `.` nor `..`, so
/// no path made of names can leave the root, whatever a caller, a file or a peer supplied.
public struct StoragePath: Sendable, Hashable, CustomStringConvertible {
    public static let maximumNameBytes = 249

    /// The storage's root directory.
    public static let root = StoragePath(names: [])

    public let names: [String]

    private init(names: [String]) { self.names = names }

    /// This place's child of that name, or an error of code ``StorageError/Code/invalidName`` that
    /// says what is wrong with it.
    public func appending(_ name: String) throws(StorageError) -> StoragePath {
        if let problem = Self.problem(with: name) {
            throw StorageError(
                .invalidName, operation: "name", path: description,
                detail: "\(problem); expected 1 to \(Self.maximumNameBytes) characters of "
                    + "A-Z a-z 0-9 . _ -, found \(String(reflecting: String(name.prefix(64))))")
        }
        return StoragePath(names: names + [name])
    }

    /// The directory that holds this place; the root's is the root.
    public var parent: StoragePath { StoragePath(names: names.dropLast()) }

    public var description: String { names.isEmpty ? "." : names.joined(separator: "/") }

    /// What makes a name unusable, or nil.
    private static func problem(with name: String) -> String? {
        let bytes = name.utf8
        if bytes.isEmpty { return "empty name" }
        if name == "." || name == ".." { return "reserved name" }
        if bytes.count > maximumNameBytes { return "name of \(bytes.count) bytes is too long" }
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                continue
            default: return "character not allowed in a name"
            }
        }
        return nil
    }
}
