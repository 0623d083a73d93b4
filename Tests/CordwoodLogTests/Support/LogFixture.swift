import CordwoodSimulation
import CordwoodStorage
import Glibc
import Testing

@testable import CordwoodLog

/// A path from names with slashes between them.
func path(_ text: String) throws -> StoragePath {
    var path = StoragePath.root
    for name in text.split(separator: "/") { path = try path.appending(String(name)) }
    return path
}

/// Where the tests' log lies.
func logPath() throws -> StoragePath { try path("log") }

/// The random number of the tests' log.
let testLogID: UInt64 = 0x1122_3344_5566_7788

typealias SimulatedLog = PartitionLog<SimulatedStorage>

func openLog(
    on storage: SimulatedStorage, _ configuration: LogConfiguration = .init(),
    newLogID: UInt64 = testLogID
) async throws -> SimulatedLog {
    try await PartitionLog.open(
        logPath(), on: storage, configuration: configuration, newLogID: newLogID)
}

extension LogConfiguration {
    /// Segments of a few batches, an index entry every few hundred bytes.
    static var small: LogConfiguration {
        LogConfiguration(
            segmentBytes: SegmentHeader.byteCount + 2048, indexIntervalBytes: 256,
            maxMessageBytes: 1024, maximumQueuedBytes: 1 << 20, maximumGroupBytes: 1024,
            tailBytes: 512)
    }

    /// The same, with the tail on disk only, so that every read verifies.
    static var smallWithoutTail: LogConfiguration {
        var configuration = small
        configuration.tailBytes = 0
        return configuration
    }
}

extension SpaceAhead.Limits {
    /// Work beside the appends from the first one on, a page at a time.
    static var small: Self {
        Self(
            firstBytes: 1, windowBytes: 12 << 10, stepBytes: 4096, reservationBytes: 12 << 10,
            writebackBytes: 700, unsyncedBytes: 1500, spareBytes: 8 << 10)
    }
}

extension Log {
    /// Every record from `start` to the end, in order.
    func all(from start: Int64? = nil) async throws -> [StoredRecord] {
        var records: [StoredRecord] = []
        for try await record in RecordSequence(self, from: start ?? startOffset, following: false) {
            records.append(record)
        }
        return records
    }

    /// Every record that can be read, stepping around damage by the offsets that the errors name.
    func allReadable() async throws -> [StoredRecord] {
        var records: [StoredRecord] = []
        var offset = startOffset
        while offset < endOffset {
            do {
                let batches = try await read(from: offset, maximumBytes: 1 << 20)
                try #require(!batches.isEmpty, "nothing at offset \(offset), before \(endOffset)")
                for batch in batches {
                    records += try batch.records().filter { $0.offset >= offset }
                    offset = batch.lastOffset + 1
                }
            } catch let error as LogError {
                try #require(error.code == .damaged, "\(error)")
                let resume = try #require(error.resumeOffset, "\(error)")
                try #require(resume > offset, "\(error)")
                offset = resume
            }
        }
        return records
    }
}

extension StoredRecord {
    /// The record as it was appended.
    var record: Record { Record(key: key, value: value, headers: headers, timestamp: timestamp) }
}

/// Waits until `condition` holds; fails the test when it does not within a minute, or more
/// on a loaded machine.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    for _ in 0..<60_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    Issue.record(what, sourceLocation: sourceLocation)
}

/// Expects a log error of that code, and returns it for a closer look.
@discardableResult
func expectLogError(
    _ code: LogError.Code, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async -> LogError? {
    do {
        try await body()
        Issue.record(
            "expected the error \(code), none was thrown; \(comment?.rawValue ?? "")",
            sourceLocation: sourceLocation)
        return nil
    } catch let error as LogError {
        #expect(error.code == code, "\(error) \(comment ?? "")", sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record("expected a log error, found \(error)", sourceLocation: sourceLocation)
        return nil
    }
}

extension MemoryBlock {
    var array: [UInt8] { Array(unsafeBytes) }
}

extension MemorySlice {
    var array: [UInt8] { Array(unsafeBytes) }
}
