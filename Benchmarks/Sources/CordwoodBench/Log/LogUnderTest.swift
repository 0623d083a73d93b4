import CordwoodLog
import CordwoodStorage

/// The log that is measured: one partition, in a directory of its own.
struct LogUnderTest {
    let storage: LinuxStorage
    let log: PartitionLog<LinuxStorage>

    static func open(at path: String) async throws -> LogUnderTest {
        let storage = try await LinuxStorage.open(root: path)
        let log = try await PartitionLog.open(
            StoragePath.root.appending("log"), on: storage)
        return LogUnderTest(storage: storage, log: log)
    }

    var ioPath: String { storage.ioPath.rawValue }
    var statistics: LogStatistics { log.statistics }

    func batches(from offset: Int64) -> BatchSequence {
        BatchSequence(log, from: offset, following: false)
    }

    func close() async throws { try await log.close() }
}

extension LogUnderTest {
    var endOffset: Int64 { log.endOffset }
    var byteCount: Int { log.byteCount }
    var recovery: RecoveryReport { log.recovery }

    func append(_ records: [Record], acknowledge: Acknowledgement) async throws {
        _ = try await log.append(records, acknowledge: acknowledge)
    }
}
