import CordwoodStorage

/// The names of a log's files: a segment's base offset in 20 digits, so that they sort as numbers.
enum SegmentFiles {
    static func log(_ baseOffset: Int64, in directory: StoragePath) -> StoragePath {
        path(baseOffset, "log", in: directory)
    }

    static func index(_ baseOffset: Int64, in directory: StoragePath) -> StoragePath {
        path(baseOffset, "index", in: directory)
    }

    static func timeIndex(_ baseOffset: Int64, in directory: StoragePath) -> StoragePath {
        path(baseOffset, "timeindex", in: directory)
    }

    /// The base offset that a segment file's name states; nil for another file.
    static func baseOffset(ofLogNamed name: String) -> Int64? {
        guard name.count == 24, name.hasSuffix(".log") else { return nil }
        let digits = name.dropLast(4)
        guard digits.allSatisfy({ $0.isASCII && $0.isWholeNumber }) else { return nil }
        return Int64(digits)
    }

    private static func path(
        _ baseOffset: Int64, _ suffix: String, in directory: StoragePath
    ) -> StoragePath {
        let digits = String(baseOffset)
        let name = String(repeating: "0", count: 20 - digits.count) + digits + "." + suffix
        do { return try directory.appending(name) } catch {
            preconditionFailure("a name of digits is a valid name: \(error)")
        }
    }
}
