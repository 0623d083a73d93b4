import CordwoodStorage
import Glibc
import TestSupport
import Testing

@testable import CordwoodLog

/// What somebody else can do to a log's files on a real file system while it is open or closed.
@Suite(.timeLimit(.minutes(30))) struct HostileSegmentTests {
    typealias LinuxLog = PartitionLog<LinuxStorage>

    private static let configuration: LogConfiguration = {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.segmentBytes = SegmentHeader.byteCount + 40_000
        configuration.maxMessageBytes = 8192
        return configuration
    }()

    private func open(_ directory: String) async throws -> LinuxLog {
        try await PartitionLog.open(
            logPath(), on: try await LinuxStorage.open(root: directory),
            configuration: Self.configuration, newLogID: testLogID)
    }

    /// A log of three sealed segments or more.
    private func fill(_ log: LinuxLog) async throws {
        var number = 0
        while log.segmentCount < 4 {
            _ = try await log.append(
                [Record(key: [1], value: [UInt8](repeating: UInt8(number % 251), count: 3000))],
                acknowledge: .written)
            number += 1
        }
    }

    private func file(_ directory: String, _ suffix: String, _ number: Int) throws -> String {
        let names = TemporaryDirectory.names(in: "\(directory)/log").filter { $0.hasSuffix(suffix) }
        try #require(names.count > number)
        return "\(directory)/log/\(names.sorted()[number])"
    }

    @Test func aSegmentThatIsCutWhileItIsMappedIsDamageAndNoMore() async throws {
        let directory = TemporaryDirectory()
        let log = try await open(directory.path)
        try await fill(log)
        let records = try await log.all()
        let held = try await log.read(from: 0, maximumBytes: 1 << 20)
        let path = try file(directory.path, ".log", 0)
        #expect(truncate(path, 8192) == 0)
        let error = await expectLogError(.damaged) { _ = try await log.all() }
        #expect(error?.message.contains(".log") == true)
        let found = try await log.allReadable()
        #expect(!found.isEmpty && found.count < records.count)
        let isRight = found.allSatisfy { records[Int($0.offset)] == $0 }
        #expect(isRight)
        // What a reader holds was checked before the file was cut. Now it is zeros in part: wrong
        // records, or an error, never the end of the process.
        for batch in held {
            do throws(LogError) {
                #expect(try batch.records().count <= 1)
            } catch { #expect(error.code == .malformedRecord) }
        }
        let report = try await log.verify()
        #expect(!report.damage.isEmpty)
        let next = try await log.append([Record(key: [1], value: [1])])
        #expect(next.lowerBound == Int64(records.count))
        try await log.close()
        let again = try await open(directory.path)
        #expect(try await again.allReadable().last?.offset == next.lowerBound)
        try await again.close()
    }

    enum Replacement: CaseIterable { case link, fifo, directory, device }

    private func replace(_ path: String, by replacement: Replacement) throws {
        #expect(rename(path, "\(path)-aside") == 0)
        switch replacement {
        case .link: #expect(symlink("\(path)-aside", path) == 0)
        case .fifo: #expect(mkfifo(path, 0o600) == 0)
        case .directory: #expect(mkdir(path, 0o700) == 0)
        case .device: #expect(symlink("/dev/zero", path) == 0)
        }
    }

    @Test(arguments: Replacement.allCases) func whatIsNoFileIsNoSegment(
        replacement: Replacement
    ) async throws {
        let directory = TemporaryDirectory()
        var log = try await open(directory.path)
        try await fill(log)
        let records = try await log.all()
        try await log.close()
        let path = try file(directory.path, ".log", 1)
        try replace(path, by: replacement)
        log = try await open(directory.path)
        await expectLogError(.damaged) { _ = try await log.all() }
        let found = try await log.allReadable()
        let isRight = found.allSatisfy { records[Int($0.offset)] == $0 }
        #expect(isRight)
        #expect(found.first?.offset == 0 && found.last == records.last)
        let damage = try await log.verify().damage
        #expect(damage.contains { path.hasSuffix($0.path) && !$0.offsets.isEmpty })
        try await log.close()
        // The active one must be whole: the log does not open, and says why.
        try replace(try file(directory.path, ".log", 3), by: replacement)
        await #expect(throws: LogError.self) { _ = try await open(directory.path) }
    }

    /// An index is a view: whatever lies in its place, the records are there.
    @Test(arguments: Replacement.allCases) func whatIsNoFileIsNoIndex(
        replacement: Replacement
    ) async throws {
        let directory = TemporaryDirectory()
        var log = try await open(directory.path)
        try await fill(log)
        let records = try await log.all()
        let largest = try await log.offset(for: .maxTimestamp)
        try await log.close()
        for suffix in [".index", ".timeindex"] {
            // Of a sealed segment, and of the active one.
            try replace(try file(directory.path, suffix, 0), by: replacement)
            try replace(try file(directory.path, suffix, 3), by: replacement)
        }
        log = try await open(directory.path)
        let isSame = try await log.all() == records
        #expect(isSame)
        #expect(try await log.offset(for: .maxTimestamp) == largest)
        _ = try await log.append([Record(key: [1], value: [1])])
        try await log.roll()
        try await log.close()
        log = try await open(directory.path)
        #expect(try await log.all().count == records.count + 1)
        try await log.close()
    }
}
