import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Whose clock stamps records, and which timestamps are taken.
@Suite struct TimestampTests {
    private let now = SimulatedClock.defaultMilliseconds

    private func log(
        _ storage: SimulatedStorage, _ change: (inout LogConfiguration) -> Void
    ) async throws -> SimulatedLog {
        var configuration = LogConfiguration.smallWithoutTail
        change(&configuration)
        return try await openLog(on: storage, configuration)
    }

    @Test func timestampsTooFarFromTheClockAreRefused() async throws {
        let log = try await log(SimulatedStorage(seed: 1)) {
            $0.messageTimestampBeforeMaxMilliseconds = 100
            $0.messageTimestampAfterMaxMilliseconds = 50
        }
        var kept: [Int64] = []
        for (offset, isTaken) in [
            (-101, false), (-100, true), (0, true), (50, true), (51, false),
        ] as [(Int64, Bool)] {
            let record = Record(value: [1], timestamp: now + offset)
            guard !isTaken else {
                // One without a timestamp, which gets the clock's, beside it.
                _ = try await log.append([record, Record(value: [2])])
                kept += [now + offset, now]
                continue
            }
            let error = await expectLogError(.invalidTimestamp) {
                _ = try await log.append([Record(value: [2]), record])
            }
            #expect(error?.message.contains("record 1") == true)
            #expect(error?.message.contains("\(now - 100) to \(now + 50)") == true)
            await expectLogError(.invalidTimestamp) { try log.check([record]) }
            await expectLogError(.invalidTimestamp) {
                let producer = ProducerSequence(producerID: 1, epoch: 0, baseSequence: 0)
                _ = try await log.append([record], producer: producer)
            }
        }
        #expect(try await log.all().map(\.timestamp) == kept)
    }

    @Test func theDefaultTakesThePastAndAnHourOfTheFuture() async throws {
        let log = try await log(SimulatedStorage(seed: 1)) { _ in }
        for timestamp in [Int64.min, -1, 0, now + 3_600_000] {
            _ = try await log.append([Record(value: [1], timestamp: timestamp)])
        }
        for timestamp in [now + 3_600_001, .max] {
            await expectLogError(.invalidTimestamp) {
                _ = try await log.append([Record(value: [1], timestamp: timestamp)])
            }
        }
        #expect(log.endOffset == 4)
    }

    @Test func boundsBeyondAllTimeAreNone() {
        var configuration = LogConfiguration()
        configuration.messageTimestampBeforeMaxMilliseconds = .max
        configuration.messageTimestampAfterMaxMilliseconds = .max
        let bounds = TimestampBounds(configuration)
        #expect(bounds.range(at: -2).lowerBound == .min && bounds.range(at: 1).upperBound == .max)
        #expect(TimestampBounds().range(at: 5) == .min ... .max)
    }

    @Test(arguments: compressionTypes) func theLogsClockStampsAllRecords(
        type: CompressionType
    ) async throws {
        let storage = SimulatedStorage(seed: 1)
        let clock = storage.simulatedClock
        let log = try await log(storage) {
            $0.messageTimestampType = .logAppendTime
            $0.compressionType = type
        }
        let value = [UInt8](repeating: 7, count: 100)
        var expected: [Int64] = []
        for step in 0..<6 {
            clock.advance(milliseconds: 10)
            let time = clock.millisecondsNow()
            let records = [
                Record(value: value, timestamp: .max - 3), Record(value: value),
                Record(value: value, timestamp: 5),
            ]
            if step % 2 == 0 {
                _ = try await log.append(records)
            } else {
                _ = try await log.append(
                    records,
                    producer: ProducerSequence(
                        producerID: 1, epoch: 0, baseSequence: Int32(step / 2 * 3)))
            }
            expected += [time, time, time]
        }
        #expect(try await log.all().map(\.timestamp) == expected)
        for batch in try await log.read(from: 0) {
            let header = try batch.verifiedHeader()
            #expect(header.isLogAppendTime && header.maxTimestamp == batch.maxTimestamp)
        }
        let found = try await log.offset(for: .atOrAfter(expected[7]))
        #expect(found == TimestampedOffset(offset: 6, timestamp: expected[7]))
        // Times that producers chose count nowhere: an idle producer is forgotten.
        await log.expireProducers(now: clock.millisecondsNow() + 1 << 32)
        #expect(await log.producers().isEmpty)
        storage.crash(.dropUnsynced)
        let again = try await openLog(on: storage, .smallWithoutTail)
        #expect(try await again.all().map(\.timestamp) == expected)
        #expect(try await again.verify().isSound)
    }
}
