import CBenchmarkSystem
import Glibc

/// A directory of our own below the one that was named, removed with all that is in it.
struct ScratchDirectory: ~Copyable {
    let path: String

    /// Creates `parent` where it is missing, and a new directory in it.
    init(in parent: String) throws {
        guard mkdir(parent, 0o755) == 0 || errno == EEXIST else {
            throw BenchError.system("mkdir", parent)
        }
        var template = Array("\(parent)/cordwood-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError.system("mkdtemp", parent) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        if benchmark_remove_tree(path) != 0 {
            Terminal.note("\(BenchError.system("remove", path))")
        }
    }

    /// Lets the disk finish what earlier work left to it: dirty pages, and the blocks of removed files,
    /// which the file system gives back in its own time.
    func settle() async throws {
        guard benchmark_sync_file_system(path) == 0 else { throw BenchError.system("syncfs", path) }
        try await Task.sleep(for: .milliseconds(500))
    }

    /// Drops the cached pages of every file below, so that the next reads come from the disk. Files
    /// must be synced and not mapped.
    func dropPageCache() throws {
        guard benchmark_drop_page_cache(path) == 0 else {
            throw BenchError.system("posix_fadvise", path)
        }
    }
}
