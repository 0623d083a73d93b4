import Cordwood

/// The log that is measured: a topic of one partition, in a database of its own, through the API
/// that servers use.
struct LogUnderTest {
    private let database: Database
    private let partition: Partition

    /// Opens the database in `path`, or creates it there.
    static func open(at path: String) async throws -> LogUnderTest {
        let database = try await Database.open(at: path)
        let topic = try await database.topic("bench")
        return LogUnderTest(database: database, partition: topic[0])
    }

    var ioPath: String { database.ioPath }
    var taskExecutor: any TaskExecutor { database.taskExecutor }
    var statistics: LogStatistics { partition.statistics }
    var endOffset: Int64 { partition.endOffset }
    var byteCount: Int { partition.byteCount }
    var recovery: RecoveryReport { database.recovery }

    func append(_ records: [Record], acknowledge: Acknowledgement) async throws {
        _ = try await partition.append(records, acknowledge: acknowledge)
    }

    /// All batches that are there.
    func batches() -> BatchSequence { partition.batches(from: 0, following: false) }

    func close() async throws { try await database.close() }
}
