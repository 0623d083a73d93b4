import Foundation

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

    struct Result {
        var megabytesPerSecond: Double
        /// The 99th percentile of a write with its sync; nil without syncs.
        var syncMicroseconds: Double?
    }

    /// One job.
    func run(_ target: Target) throws -> Result {
        var arguments = [
            "fio", "--name=\(name)-\(target)", "--directory=\(directory)", "--rw=write",
            "--bs=\(blockBytes)",
            "--ioengine=psync", "--numjobs=1", "--runtime=\(seconds)",
            "--output-format=json",
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
        return try Self.result(inJSON: ChildProcess(arguments).finish("fio"))
    }

    /// What stands in fio's JSON output for its one job.
    static func result(inJSON output: String) throws -> Result {
        // fio prints warnings before its JSON.
        guard let start = output.firstIndex(of: "{"),
            let report = try? JSONDecoder().decode(
                Report.self, from: Data(output[start...].utf8)),
            let job = report.jobs.first, job.write.bandwidth > 0
        else { throw BenchError("fio printed no bandwidth: \(output)") }
        let p99 = job.sync?.latency?.percentile?["99.000000"]
        return Result(
            megabytesPerSecond: job.write.bandwidth / 1e6, syncMicroseconds: p99.map { $0 / 1e3 })
    }

    /// The fields that are looked at, by fio's names.
    private struct Report: Decodable {
        struct Job: Decodable {
            struct Write: Decodable {
                var bandwidth: Double
                enum CodingKeys: String, CodingKey { case bandwidth = "bw_bytes" }
            }
            struct Sync: Decodable {
                var latency: Latency?
                enum CodingKeys: String, CodingKey { case latency = "lat_ns" }
            }
            struct Latency: Decodable { var percentile: [String: Double]? }
            var write: Write
            var sync: Sync?
        }
        var jobs: [Job]
    }
}
