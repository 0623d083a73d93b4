/// What the disk itself does with writes of the log's size, measured by fio in the same directory.
struct FioBaseline {
    var directory: String
    /// Begins the names of its files, which stay: removing them would slow what is measured next.
    var name: String
    /// Of one write.
    var blockBytes: Int
    /// Whether each write is followed by fdatasync.
    var syncs: Bool
    var seconds: Int

    enum Target {
        /// A file that grows into reserved space, as a log does.
        case fresh
        /// A file whose blocks were all written before: no metadata is left to be journalled.
        case overwrite
    }

    /// Megabytes a second of one job.
    func megabytesPerSecond(_ target: Target) throws -> Double {
        var arguments = [
            "fio", "--name=\(name)-\(target)", "--directory=\(directory)", "--rw=write",
            "--bs=\(blockBytes)",
            "--ioengine=psync", "--numjobs=1", "--runtime=\(seconds)",
            "--output-format=terse", "--terse-version=3",
        ]
        if syncs { arguments.append("--fdatasync=1") }
        switch target {
        case .fresh:
            // Large enough that the time ends first, so that no block is written twice.
            let room = Machine.freeBytes(at: directory) / 8
            arguments += ["--fallocate=native", "--size=\(min(room, seconds * 3_000_000_000))"]
        case .overwrite:
            arguments += ["--overwrite=1", "--size=512m", "--time_based=1"]
        }
        return try Self.bandwidth(inTerse: ChildProcess(arguments).finish("fio"))
    }

    /// The write bandwidth in fio's terse output of version 3, which is in KiB/s in field 48.
    static func bandwidth(inTerse output: String) throws -> Double {
        let line = output.split(separator: "\n").first { $0.hasPrefix("3;") }
        let fields = line?.split(separator: ";", omittingEmptySubsequences: false) ?? []
        guard fields.count > 47, let kibibytes = Double(fields[47]), kibibytes > 0 else {
            throw BenchError("fio printed no bandwidth: \(output)")
        }
        return kibibytes * 1024 / 1e6
    }
}
