#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A directory on a real disk that is removed, with all in it, when released.
///
/// `CORDWOOD_TEST_DIRECTORY` names where; `/tmp` by default.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public struct Failure: Error { public var errno: Int32 }

    public init() throws(Failure) {
        let parent = getenv("CORDWOOD_TEST_DIRECTORY").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/cordwood-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Failure(errno: errno) }
        path = String(cString: made)
    }

    deinit { Self.remove(path) }

    /// Removes a directory and what is in it, links unfollowed.
    private static func remove(_ path: String) {
        if let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name == "." || name == ".." { continue }
                if entry.pointee.d_type == UInt8(DT_DIR) {
                    remove("\(path)/\(name)")
                } else {
                    unlink("\(path)/\(name)")
                }
            }
            closedir(stream)
        }
        rmdir(path)
    }
}
