import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite(.timeLimit(.minutes(30))) struct PartitionLogTests {
    @Test func appendsAndReads() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        #expect(log.startOffset == 0 && log.endOffset == 0 && log.segmentCount == 1)
        #expect(try await log.append([Record("a"), Record("b", key: "k")]) == 0..<2)
        #expect(try await log.append([Record("c")]) == 2..<3)
        #expect(log.endOffset == 3 && log.durableOffset == 3)
        let records = try await log.all()
        #expect(records.map(\.text) == ["a", "b", "c"])
        #expect(records.map(\.offset) == [0, 1, 2])
        #expect(records[1].key == Array("k".utf8))
        #expect(records[0].timestamp == SimulatedClock.defaultMilliseconds)
        #expect(try await log.read(from: 3, maximumBytes: 1).isEmpty)
        try await log.close()
    }

    @Test(arguments: [LogConfiguration.small, .smallWithoutTail])
    func rollsClosesAndReopens(_ configuration: LogConfiguration) async throws {
        let storage = SimulatedStorage(seed: 1)
        var expected: [String] = []
        for life in 0..<3 {
            let log = try await openLog(on: storage, configuration)
            #expect(log.endOffset == Int64(expected.count))
            #expect(log.recovery.cutBytes == 0 && log.recovery.quarantined.isEmpty)
            #expect(log.recovery.notes.isEmpty, "\(log.recovery)")
            #expect(try await log.all().map(\.text) == expected)
            for number in 0..<100 {
                let text = "record \(life) \(number) " + String(repeating: "x", count: number)
                let offsets = try await log.append([Record(text)])
                #expect(offsets == Int64(expected.count)..<Int64(expected.count + 1))
                expected.append(text)
            }
            #expect(log.segmentCount > 4)
            #expect(try await log.all().map(\.text) == expected)
            let report = try await log.verify()
            #expect(report.isSound, "\(report)")
            #expect(report.records == expected.count && report.segments == log.segmentCount)
            try await log.close()
        }
    }

    @Test func everyOffsetCanBeReadFrom() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        for number in 0..<60 {
            _ = try await log.append([Record("\(number) a"), Record("\(number) b")])
        }
        for offset in 0..<log.endOffset {
            let batches = try await log.read(from: offset, maximumBytes: 1)
            #expect(
                batches.first.map { $0.baseOffset <= offset && $0.lastOffset >= offset } == true)
            #expect(try await log.all(from: offset).first?.offset == offset)
        }
        await expectLogError(.offsetOutOfRange) { _ = try await log.read(from: -1) }
        await expectLogError(.offsetOutOfRange) { _ = try await log.read(from: 121) }
        try await log.close()
    }

    @Test func followersSeeEveryRecordAndEndWithTheLog() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        let followers = (0..<3).map { _ in
            Task {
                var texts: [String?] = []
                for try await record in RecordSequence(log, from: 0, following: true) {
                    texts.append(record.text)
                    if texts.count == 50 { break }
                }
                return texts
            }
        }
        for number in 0..<50 { _ = try await log.append([Record("\(number)")]) }
        for follower in followers {
            #expect(try await follower.value == (0..<50).map { "\($0)" })
        }
        let waiting = Task {
            for try await _ in RecordSequence(log, from: 50, following: true) {}
        }
        try await Task.sleep(for: .milliseconds(20))
        try await log.close()
        try await waiting.value
    }
}
