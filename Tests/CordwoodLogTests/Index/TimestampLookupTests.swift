import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct TimestampLookupTests {
    private static var configuration: LogConfiguration {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.messageTimestampAfterMaxMilliseconds = nil
        return configuration
    }

    /// A log of several segments with timestamps in any order, and its records.
    private func log(
        _ storage: SimulatedStorage, _ random: inout SplitMix64
    ) async throws -> (SimulatedLog, [StoredRecord]) {
        let log = try await openLog(on: storage, Self.configuration)
        var clock: Int64 = 1000
        for _ in 0..<random.below(60) {
            clock += Int64(random.below(10))
            let records = (0..<1 + random.below(3)).map { _ in
                Record(
                    value: [UInt8](repeating: 1, count: random.below(120)),
                    timestamp: max(0, clock - 40 + Int64(random.below(80))))
            }
            _ = try await log.append(records, acknowledge: .written)
        }
        return (log, try await log.all())
    }

    private func check(
        _ log: SimulatedLog, _ records: [StoredRecord], _ context: String
    ) async throws {
        let seen = records.filter { $0.offset >= log.startOffset && $0.offset < log.highWatermark }
        for timestamp in Int64(950)...Int64(1700) where timestamp % 3 == 0 {
            let expected = seen.first { $0.timestamp >= timestamp }
            let found = try await log.offset(for: .atOrAfter(timestamp))
            #expect(found?.offset == expected?.offset, "\(context), \(timestamp)")
            #expect(found?.timestamp == expected?.timestamp, "\(context), \(timestamp)")
        }
        let largest = seen.map(\.timestamp).max()
        let latest = seen.first { $0.timestamp == largest }
        let found = try await log.offset(for: .maxTimestamp)
        #expect(found?.offset == latest?.offset && found?.timestamp == largest, "\(context)")
        #expect(try await log.offset(for: .earliest)?.offset == log.startOffset)
        #expect(try await log.offset(for: .latest)?.offset == log.highWatermark)
    }

    /// Against a search through all records: while written, trimmed, bounded by the high watermark,
    /// and after a reopening.
    @Test func agreesWithASearch() async throws {
        for seed in seeds(12) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var (log, records) = try await log(storage, &random)
            try await check(log, records, "seed \(seed)")
            if random.coin() {
                log.setHighWatermark(Int64(random.below(records.count + 1)))
                try await check(log, records, "seed \(seed), bounded")
                log.setHighWatermark(nil)
            }
            if random.coin() { try await log.close() } else { storage.crash(.keepAll) }
            log = try await openLog(on: storage, Self.configuration)
            try await check(log, records, "seed \(seed), reopened")
            try await log.deleteRecords(before: Int64(random.below(records.count + 1)))
            try await check(log, records, "seed \(seed), trimmed")
        }
    }

    /// Whatever byte of a time index is flipped, and wherever it is cut, it is made anew to the same
    /// bytes, and the answers stay right.
    @Test func aTimeIndexThatLiesIsMadeAnew() async throws {
        var random = SplitMix64(seed: 11)
        let storage = SimulatedStorage(seed: 11)
        var (log, records) = try await log(storage, &random)
        while log.segmentCount < 3 {
            for number in 0..<20 {
                _ = try await log.append(
                    [
                        Record(
                            value: [UInt8](repeating: 2, count: 100),
                            timestamp: 1000 + Int64(number))
                    ])
            }
            records = try await log.all()
        }
        // No index stays in memory.
        try await log.close()
        log = try await PartitionLog.open(
            logPath(), on: storage, configuration: Self.configuration,
            cache: SegmentCache(maximumIndexBytes: 1), newLogID: testLogID)
        let index = try path("log/00000000000000000000.timeindex")
        let whole = try #require(storage.contents(of: index))
        #expect(whole.count == IndexPage.byteCount)
        var damages: [(String, () throws -> Void)] = [
            ("zeroed", { try storage.zero(index, 0..<IndexPage.byteCount) })
        ]
        for byte in stride(from: 0, to: whole.count, by: 61) {
            damages.append(("byte \(byte)", { try storage.flip(index, byte: byte, mask: 4) }))
            damages.append(("cut at \(byte)", { try storage.cut(index, to: byte) }))
        }
        let expected = records.first { $0.timestamp >= 1005 }
        for (name, damage) in damages {
            try damage()
            #expect(storage.contents(of: index) != whole, "\(name)")
            let found = try await log.offset(for: .atOrAfter(1005))
            #expect(found?.offset == expected?.offset, "\(name)")
            #expect(storage.contents(of: index) == whole, "\(name)")
        }
    }

    /// An index is read and decoded once, and anew where the segment was cut.
    @Test func aLookupKeepsTheIndexes() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1), Self.configuration)
        for number in 0..<40 {
            _ = try await log.append([
                Record(
                    value: [UInt8](repeating: 2, count: 100), timestamp: 1000 + Int64(number))
            ])
        }
        let sealed = log.segmentCount - 1
        #expect(sealed > 2)
        for _ in 0..<3 {
            for number in 0..<Int64(40) {
                #expect(try await log.offset(for: .atOrAfter(1000 + number))?.offset == number)
            }
            #expect(try await log.offset(for: .maxTimestamp)?.offset == 39)
        }
        #expect(log.cache.counts.timeLoads <= sealed)
        #expect(log.cache.timeIndexBytes > 0)
        try await log.truncate(to: 5)
        #expect(try await log.offset(for: .maxTimestamp)?.offset == 4)
        #expect(try await log.offset(for: .atOrAfter(1005)) == nil)
    }

    /// Damage behind the answer, or in segments that cannot have it, is no obstacle.
    @Test func damageElsewhereIsNoObstacle() async throws {
        let storage = SimulatedStorage(seed: 1)
        var log = try await openLog(on: storage, Self.configuration)
        func append(_ timestamp: Int64) async throws {
            let record = Record(value: [UInt8](repeating: 2, count: 100), timestamp: timestamp)
            _ = try await log.append([record])
        }
        try await append(5000)
        for number in 0..<40 { try await append(1000 + Int64(number)) }
        let segments = log.state.read { snapshot in
            snapshot.sealed.map { (path: $0.path, end: $0.end.position) }
        }
        #expect(segments.count > 2)
        try await log.close()
        for segment in segments { try storage.flip(segment.path, byte: segment.end - 10, mask: 1) }
        log = try await openLog(on: storage, Self.configuration)
        await expectLogError(.damaged) { _ = try await log.all() }
        #expect(try await log.offset(for: .maxTimestamp)?.offset == 0)
        #expect(try await log.offset(for: .atOrAfter(1036))?.offset == 0)
        // Where the answer may have been in it, it is told.
        try await log.deleteRecords(before: 1)
        await expectLogError(.damaged) { _ = try await log.offset(for: .maxTimestamp) }
    }

    /// What a search through all records of a log finds, the plain way: with those of transactions
    /// that were aborted and the markers, as Kafka does.
    private func searched(_ log: SimulatedLog) async throws -> [StoredRecord] {
        var records: [StoredRecord] = []
        for try await batch in BatchSequence(
            log, from: log.startOffset, following: false, isolation: .logEnd)
        { records += try batch.records().filter { $0.offset >= log.startOffset } }
        return records
    }

    /// With every codec, either clock, transactions, compaction and damage to no record: what each
    /// isolation sees is what a search finds.
    @Test(arguments: [TimestampType.createTime, .logAppendTime])
    func everyKindOfBatchIsLookedUp(_ type: TimestampType) async throws {
        for seed in seeds(12) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var configuration = Self.configuration
            configuration.messageTimestampType = type
            configuration.cleanupPolicy = .compact
            configuration.compressionType =
                [.uncompressed, .gzip(), .snappy, .lz4(), .zstd()][Int(seed % 5)]
            let log = try await openLog(on: storage, configuration)
            let base = SimulatedClock.defaultMilliseconds
            var sequence: Int32 = 0
            var isOpen = false
            for _ in 0..<70 {
                storage.simulatedClock.advance(milliseconds: Int64(random.below(30)))
                let records = (0...random.below(4)).map { _ in
                    Record(
                        key: [UInt8(random.below(9))],
                        value: [UInt8](repeating: 7, count: random.below(200)),
                        timestamp: base + Int64(random.below(2000)) - 500)
                }
                switch random.below(4) {
                case 0:
                    let producer = ProducerSequence(
                        producerID: 1, epoch: 0, baseSequence: sequence, isTransactional: true)
                    _ = try await log.append(records, producer: producer)
                    sequence += Int32(records.count)
                    isOpen = true
                case 1 where isOpen:
                    _ = try await log.end(random.coin() ? .commit : .abort)
                    isOpen = false
                default: _ = try await log.append(records, acknowledge: .written)
                }
            }
            if random.coin() { log.setHighWatermark(Int64(random.below(Int(log.endOffset)))) }
            for compacted in [false, true] {
                if compacted { _ = try await log.compact(force: true) }
                let records = try await searched(log)
                for isolation in Isolation.allCases {
                    let context = "seed \(seed), \(isolation), compacted \(compacted)"
                    let end = log.end(for: isolation)
                    let seen = records.filter { $0.offset < end }
                    for timestamp in stride(from: base - 501, to: base + 2100, by: 37) {
                        let expected = seen.first { $0.timestamp >= timestamp }
                        let found = try await log.offset(
                            for: .atOrAfter(timestamp), isolation: isolation)
                        #expect(found?.offset == expected?.offset, "\(context), \(timestamp)")
                        #expect(found?.timestamp == expected?.timestamp, "\(context)")
                    }
                    let largest = seen.map(\.timestamp).max()
                    let found = try await log.offset(for: .maxTimestamp, isolation: isolation)
                    let expected = seen.first { $0.timestamp == largest }
                    #expect(found?.offset == expected?.offset, "\(context)")
                    #expect(found?.timestamp == largest, "\(context)")
                    let latest = try await log.offset(for: .latest, isolation: isolation)
                    #expect(latest == TimestampedOffset(offset: end), "\(context)")
                }
            }
        }
    }

    /// Timestamps before 1970, none at all, and the last one there is.
    @Test func extremeTimestamps() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.configuration)
        #expect(try await log.offset(for: .maxTimestamp) == nil)
        #expect(try await log.offset(for: .atOrAfter(.min)) == nil)
        let stamps: [Int64] = [-5, .min, -1, 0, 7, .max, 3, -1000]
        for (number, stamp) in stamps.enumerated() {
            _ = try await log.append([
                Record(value: [UInt8](repeating: UInt8(number), count: 500), timestamp: stamp)
            ])
        }
        #expect(log.segmentCount > 1)
        for query in stamps + [-4, 1, 8, .max - 1, -1001, -6] {
            let expected = stamps.firstIndex { $0 >= query }
            let found = try await log.offset(for: .atOrAfter(query))
            #expect(found?.offset == expected.map(Int64.init), "\(query)")
        }
        #expect(
            try await log.offset(for: .maxTimestamp)
                == TimestampedOffset(offset: 5, timestamp: .max))
        try await log.deleteRecords(before: 6)
        #expect(
            try await log.offset(for: .maxTimestamp) == TimestampedOffset(offset: 6, timestamp: 3))
        try await log.deleteRecords(before: 7)
        #expect(
            try await log.offset(for: .maxTimestamp)
                == TimestampedOffset(offset: 7, timestamp: -1000))
    }
}
