import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Files that somebody has changed, with checksums that are right: whatever is done with the log,
/// each problem is a named error or damage that is told. No trap, no hang.
@Suite(.timeLimit(.minutes(30))) struct HostileFilesTests {
    private static let configuration: LogConfiguration = {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.cleanupPolicy = [.compact, .delete]
        configuration.retentionBytes = 40_000
        return configuration
    }()

    /// A log with all that one can hold: compacted segments, codecs, transactions, epochs, damage.
    private func sample(closing: Bool) async throws -> Forgery {
        let storage = SimulatedStorage(seed: 1)
        var configuration = Self.configuration
        let log = try await openLog(on: storage, configuration)
        var sequences: [Int64: Int32] = [:]
        for step in 0..<36 {
            configuration.compressionType =
                [
                    .producer, .gzip(), .snappy, .lz4(), .zstd(),
                ][step % 5]
            try await log.alter(configuration)
            if step % 12 == 5 { try await log.startEpoch(Int32(step)) }
            let records = (0...step % 3).map { index in
                Record(
                    key: [UInt8(step % 7)],
                    value: step % 6 == 4 ? nil : [UInt8](repeating: UInt8(index), count: 150),
                    headers: [RecordHeader(key: "h", value: [1])],
                    timestamp: 1000 + Int64(step * 37 % 50))
            }
            let producer = Int64(step % 4)
            guard producer > 0 else {
                _ = try await log.append(records)
                continue
            }
            let sequence = sequences[producer, default: 0]
            _ = try await log.append(
                records,
                producer: ProducerSequence(
                    producerID: producer, epoch: 1, baseSequence: sequence,
                    isTransactional: producer == 3))
            sequences[producer] = sequence + Int32(records.count)
            if step % 8 == 7 {
                _ = try await log.appendMarker(
                    step % 16 == 7 ? .abort : .commit, producerID: 3, epoch: 1,
                    coordinatorEpoch: 1)
            }
            if step == 20 { _ = try await log.compact(force: true) }
        }
        try await log.deleteRecords(before: 2)
        #expect(log.segmentCount > 3)
        if closing { try await log.close() } else { storage.crash(.keepAll) }
        return Forgery(storage)
    }

    @Test(arguments: [true, false]) func forgedFilesNeverTrapOrHang(closing: Bool) async throws {
        let original = try await sample(closing: closing)
        var opened = 0
        for seed in seeds(60) {
            var random = SplitMix64(seed: seed)
            var forged = original
            for _ in 0..<1 + random.below(3) { forged.change(&random) }
            let storage = try await forged.storage(seed: seed)
            if try await use(storage, &random, "seed \(seed), closing \(closing)") { opened += 1 }
        }
        // Else nothing behind the opening was tried.
        #expect(opened > 10)
    }

    /// Does everything that can be done with a log; says whether it opened.
    private func use(
        _ storage: SimulatedStorage, _ random: inout SplitMix64, _ context: String
    ) async throws -> Bool {
        let path = try logPath()
        await inspect(storage)
        let log: SimulatedLog
        do throws(LogError) {
            log = try await PartitionLog.open(
                path, on: storage, configuration: Self.configuration)
        } catch {
            #expect(!error.message.isEmpty)
            return false
        }
        for isolation in Isolation.allCases { await read(log, isolation, context) }
        await look(log, &random)
        await change(log, &random)
        for isolation in Isolation.allCases { await read(log, isolation, context) }
        await attempt { _ = try await log.verify() }
        var closed = true
        do throws(LogError) { try await log.close() } catch { closed = false }
        guard closed else { return true }
        // What one opening took, the next one takes.
        do throws(LogError) {
            let again = try await PartitionLog.open(
                path, on: storage, configuration: Self.configuration)
            await read(again, .logEnd, context)
            try await again.close()
        } catch { Issue.record("\(error); \(context)") }
        return true
    }

    private func attempt(_ body: () async throws -> Void) async {
        do { try await body() } catch { #expect(error is LogError, "\(error)") }
    }

    private func inspect(_ storage: SimulatedStorage) async {
        var options = InspectionOptions()
        options.showsRecords = true
        options.showsIndexes = true
        do {
            var inspector = try LogInspector(logPath(), on: storage, options) { item in
                #expect(!"\(item)".isEmpty)
            }
            try await inspector.run()
        } catch { #expect(error is LogError, "\(error)") }
    }

    /// Reads to the end, around damage; each step must come further.
    private func read(_ log: SimulatedLog, _ isolation: Isolation, _ context: String) async {
        var offset = log.startOffset
        var steps = 0
        while offset < log.end(for: isolation) {
            steps += 1
            guard steps < 2000 else {
                Issue.record("a read that does not end; \(context)")
                return
            }
            do throws(LogError) {
                let batches = try await log.read(
                    from: offset, maximumBytes: 4096, isolation: isolation)
                guard let last = batches.last else { return }
                for batch in batches {
                    await attempt { _ = try batch.records() }
                    _ = (batch.marker, batch.producer)
                }
                #expect(last.lastOffset >= offset, "\(context)")
                offset = max(last.lastOffset + 1, offset + 1)
            } catch {
                guard let resume = error.resumeOffset else { return }
                #expect(resume > offset, "\(error); \(context)")
                offset = max(resume, offset + 1)
            }
        }
    }

    private func look(_ log: SimulatedLog, _ random: inout SplitMix64) async {
        for query in [
            TimestampQuery.earliest, .latest, .maxTimestamp, .atOrAfter(.min), .atOrAfter(1025),
            .atOrAfter(.max),
        ] {
            for isolation in Isolation.allCases {
                await attempt { _ = try await log.offset(for: query, isolation: isolation) }
            }
        }
        await attempt {
            _ = try await log.abortedTransactions(in: log.startOffset..<Int64.max)
        }
        for epoch in [Int32(0), 5, .max] { _ = log.endOffset(forEpoch: epoch) }
        _ = await (log.producers(), log.cleanableBytes, log.dirtyRatio)
        await attempt { _ = try await log.verify() }
    }

    private func change(_ log: SimulatedLog, _ random: inout SplitMix64) async {
        let record = Record(key: [1], value: Array("more".utf8), timestamp: 2000)
        for _ in 0..<6 {
            switch random.below(8) {
            case 0: await attempt { _ = try await log.append([record]) }
            case 1: await attempt { try await log.roll() }
            case 2: await attempt { _ = try await log.compact(force: true) }
            case 3:
                let offset = log.startOffset &+ Int64(random.below(20))
                await attempt { _ = try await log.deleteRecords(before: offset) }
            case 4:
                let offset = log.endOffset &- Int64(random.below(30))
                await attempt { _ = try await log.truncate(to: offset) }
            case 5: await attempt { _ = try await log.applyRetention(now: 1 << 41) }
            case 6: await attempt { try await log.startEpoch(Int32(random.below(100))) }
            default:
                let sequence = ProducerSequence(
                    producerID: Int64(random.below(5)), epoch: 1,
                    baseSequence: Int32(random.below(20)))
                await attempt { _ = try await log.append([record], producer: sequence) }
            }
        }
        await log.expireProducers(now: 1 << 41)
    }
}
