import CordwoodStorage
import Glibc
import TestSupport
import Testing

@testable import CordwoodLog

/// The log on a real file system, by ring and by threads.
@Suite(.timeLimit(.minutes(30))) struct LinuxPartitionLogTests {
    /// Runs `body` with a directory that is removed afterwards.
    private func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        try await body(directory.path)
    }

    @Test(arguments: IOPath.allCases) func producersReadersAndReopening(
        ioPath: IOPath
    ) async throws {
        try await withDirectory { directory in
            var configuration = LogConfiguration()
            configuration.segmentBytes = 256 << 10
            configuration.maxMessageBytes = 64 << 10
            configuration.tailBytes = 32 << 10
            for life in 0..<3 {
                let storage = try await LinuxStorage.open(root: directory, .init(ioPath: ioPath))
                let log = try await PartitionLog.open(
                    logPath(), on: storage, configuration: configuration, newLogID: testLogID)
                #expect(log.endOffset == Int64(life * 1600))
                #expect(log.recovery.cutBytes == 0 && log.recovery.quarantined.isEmpty)
                let follower = Task {
                    var next = Int64(life * 1600)
                    for try await record in RecordSequence(log, from: next, following: true) {
                        #expect(record.offset == next)
                        next += 1
                    }
                    return next
                }
                try await withThrowingTaskGroup { group in
                    for producer in 0..<8 {
                        group.addTask {
                            for number in 0..<100 {
                                let value = [UInt8](
                                    repeating: UInt8(producer), count: 200 + number)
                                _ = try await log.append(
                                    [Record(value: value), Record("\(producer) \(number)")],
                                    acknowledge: Acknowledgement.allCases[number % 3])
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                try await eventually("all is written") { log.endOffset == Int64(life + 1) * 1600 }
                let records = try await log.all()
                #expect(records.map(\.offset) == Array(0..<log.endOffset))
                #expect(log.segmentCount > 1)
                #expect(log.statistics.groups <= 800)
                let report = try await log.verify()
                #expect(report.isSound, "\(report.damage)")
                #expect(report.records == records.count)
                try await log.close()
                #expect(try await follower.value <= Int64(life + 1) * 1600)
            }
        }
    }

    /// Released without a close: what was written is found again.
    @Test(arguments: IOPath.allCases) func aLogThatWasNotClosedIsRecovered(
        ioPath: IOPath
    ) async throws {
        try await withDirectory { directory in
            for life in 0..<3 {
                let storage = try await LinuxStorage.open(root: directory, .init(ioPath: ioPath))
                let log = try await PartitionLog.open(
                    logPath(), on: storage, newLogID: testLogID)
                #expect(log.endOffset == Int64(life * 20))
                for number in 0..<20 {
                    _ = try await log.append(
                        [Record("\(number)")], acknowledge: number % 2 == 0 ? .written : .durable)
                }
            }
        }
    }

    /// An index that ends exactly with a page, and files of no bytes.
    @Test(arguments: IOPath.allCases) func emptyWritesAndFullPages(ioPath: IOPath) async throws {
        try await withDirectory { directory in
            var configuration = LogConfiguration()
            configuration.indexIntervalBytes = 64
            let storage = try await LinuxStorage.open(root: directory, .init(ioPath: ioPath))
            let log = try await PartitionLog.open(
                logPath(), on: storage, configuration: configuration, newLogID: testLogID)
            for number in 0..<OffsetIndex.Entry.pageCapacity {
                _ = try await log.append([Record("\(number)")], acknowledge: .written)
            }
            try await log.close()
            let again = try await PartitionLog.open(
                logPath(), on: storage, configuration: configuration, newLogID: testLogID)
            #expect(try await again.all().count == OffsetIndex.Entry.pageCapacity)
            #expect(try await again.verify().isSound)
            try await again.close()
            #expect(truncate("\(directory)/log/\(String(repeating: "0", count: 20)).log", 0) == 0)
            await expectLogError(.damaged) {
                _ = try await PartitionLog.open(
                    logPath(), on: storage, configuration: configuration, newLogID: testLogID)
            }
        }
    }
}
