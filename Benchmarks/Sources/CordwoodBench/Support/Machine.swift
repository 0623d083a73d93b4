import CBenchmarkSystem
import Glibc

/// What the system says about this process and its disks.
enum Machine {
    /// Processor time, user and system, that all threads of this process have used, with those that
    /// the kernel runs for its rings.
    static var processorSeconds: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// Bytes of this process that are in memory.
    static var residentBytes: Int {
        // The second number of statm counts pages.
        let fields = SmallFile.read("/proc/self/statm").split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(getpagesize())
    }

    /// The kind of file system that `path` lies on, such as `ext4`; `unknown` where it is none of
    /// the common ones.
    static func fileSystem(at path: String) -> String {
        switch benchmark_file_system(path) {
        case 0x0102_1994, 0x8584_58F6: "tmpfs"
        case 0xEF53: "ext4"
        case 0x5846_5342: "xfs"
        case 0x9123_683E: "btrfs"
        case 0x794C_7630: "overlay"
        default: "unknown"
        }
    }

    /// Bytes that may still be written at `path`.
    static func freeBytes(at path: String) -> Int {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return 0 }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }
}
