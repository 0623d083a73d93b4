import Foundation

/// How many reads of 4 KiB at random places of a file the disk gives a second, past the system's cache,
/// measured by fio with as many of them under way as searches have.
struct FioRandomReads {
    private static let seconds = 2

    var path: String
    var threads: Int
    /// Of each thread.
    var readsInFlight: Int

    func run() throws -> Double {
        try Self.readsPerSecond(
            inJSON: ChildProcess([
                "fio", "--name=reads", "--filename=\(path)", "--readonly", "--rw=randread",
                "--bs=4096", "--direct=1", "--ioengine=io_uring", "--iodepth=\(readsInFlight)",
                "--numjobs=\(threads)", "--group_reporting", "--time_based",
                "--runtime=\(Self.seconds)", "--output-format=json",
            ]).finish("fio"))
    }

    /// What stands in fio's JSON output for its group of jobs.
    static func readsPerSecond(inJSON output: String) throws -> Double {
        // fio prints warnings before its JSON.
        guard let start = output.firstIndex(of: "{"),
            let report = try? JSONDecoder().decode(Report.self, from: Data(output[start...].utf8)),
            let job = report.jobs.first, job.read.iops > 0
        else { throw BenchError("fio printed no reads a second: \(output)") }
        return job.read.iops
    }

    /// The fields that are looked at, by fio's names.
    private struct Report: Decodable {
        struct Job: Decodable {
            struct Read: Decodable { var iops: Double }
            var read: Read
        }
        var jobs: [Job]
    }
}
