import Cordwood
import Glibc

/// How long it takes to open a log after it was closed, and after its process was killed.
enum LogReopening {
    struct Opened {
        var log: LogUnderTest
        var milliseconds: Double
    }

    static func open(_ path: String) async throws -> Opened {
        let clock = ContinuousClock()
        let start = clock.now
        let log = try await LogUnderTest.open(at: path)
        return Opened(log: log, milliseconds: start.duration(to: clock.now) / .milliseconds(1))
    }

    /// Lets a copy of this program append to the log under `path`, kills it in the middle, and
    /// opens what it left.
    static func openAfterKill(
        _ path: String, _ load: LogLoad, appending duration: Duration
    ) async throws -> Opened {
        let child = try ChildProcess([
            "/proc/self/exe", AppendUntilKilledCommand.name, "--directory", path,
            "--record-bytes", "\(load.recordBytes)", "--batch-records", "\(load.recordsPerBatch)",
            "--producers", "\(load.producers)", "--acknowledge", load.acknowledge.rawValue,
        ])
        guard child.waitForOutput() else {
            child.kill()
            throw BenchError("the process that was to be killed ended before it appended")
        }
        do { try await Task.sleep(for: duration) } catch {
            child.kill()
            throw error
        }
        child.kill()
        return try await open(path)
    }
}
