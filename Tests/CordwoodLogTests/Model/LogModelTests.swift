import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Random operations on a log and on a plain list, which have to agree after every one.
@Suite(.timeLimit(.minutes(30))) struct LogModelTests {
    /// CI runs the suite optimised, too, and there all of them.
    private static var seedCount: Int {
        #if DEBUG
        1000
        #else
        10_000
        #endif
    }

    @Test func agreesWithAPlainListAfterEveryOperation() async throws {
        // Two halves side by side: the machines have two cores.
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for half in 0..<2 as Range<UInt64> {
                tasks.addTask {
                    for seed in seeds(Self.seedCount) where seed % 2 == half {
                        var run = try await ModelRun(seed: seed)
                        try await run.run(operations: 20)
                    }
                }
            }
            try await tasks.waitForAll()
        }
    }
}

/// One log, its model, and the operations on both.
private struct ModelRun {
    let seed: UInt64
    private var random: SplitMix64
    private let storage: SimulatedStorage
    private let configuration: LogConfiguration
    private let isCompacted: Bool
    private var log: SimulatedLog
    private var model = LogModel()
    /// What was done, for the message of a failure.
    private var history: [String] = []

    init(seed: UInt64) async throws {
        self.seed = seed
        random = SplitMix64(seed: seed)
        storage = SimulatedStorage(seed: seed)
        var configuration = LogConfiguration(
            segmentBytes: SegmentHeader.byteCount + [1600, 2500, 20_000][random.below(3)],
            indexIntervalBytes: [64, 256, 1024][random.below(3)], maxMessageBytes: 1600,
            maximumQueuedBytes: 1 << 20, maximumGroupBytes: [512, 1 << 20][random.below(2)],
            tailBytes: [0, 700, 1 << 20][random.below(3)])
        isCompacted = random.coin()
        if isCompacted { configuration.cleanupPolicy = .compact }
        self.configuration = configuration
        log = try await openLog(on: storage, configuration)
    }

    mutating func run(operations: Int) async throws {
        for _ in 0..<operations {
            try await step()
            try await compare()
        }
    }

    private mutating func step() async throws {
        switch random.below(18) {
        case 0...5: try await append()
        case 6:
            history.append("roll")
            try await log.roll()
            model.flush()
        case 7:
            history.append("flush")
            try await log.flush()
            model.flush()
        case 8: try await trim()
        case 9: try await truncate()
        case 10:
            let epoch = max(0, model.epoch + Int32(random.below(4)) - 1)
            history.append("epoch \(epoch)")
            if epoch < model.epoch {
                await expectLogError(.staleEpoch) { try await log.startEpoch(epoch) }
            } else {
                try await log.startEpoch(epoch)
                model.startEpoch(epoch)
            }
        case 11:
            let offset = random.coin() ? nil : Int64(random.below(Int(model.endOffset) + 3))
            history.append("high watermark \(offset.map(String.init) ?? "none")")
            log.setHighWatermark(offset)
            model.setHighWatermark(offset)
        case 12: try await compact()
        case 13, 14:
            history.append("reopen")
            try await log.close()
            log = try await openLog(on: storage, configuration)
            model.reopen()
        default: try await crash()
        }
    }

    private mutating func append() async throws {
        let records = (0..<1 + random.below(4)).map { _ in
            Record(
                key: !isCompacted && random.coin() ? nil : [UInt8(random.below(8))],
                value: random.below(8) == 0 ? nil : value(random.below(250)),
                headers: random.below(4) == 0 ? [RecordHeader(key: "h", value: [1])] : [],
                timestamp: Int64(random.below(1000)))
        }
        let isDurable = random.coin()
        history.append("append \(records.count)\(isDurable ? ", durable" : "")")
        let offsets = try await log.append(
            records, acknowledge: isDurable ? .durable : .written)
        let wasRolled = log.durableOffset > model.durableOffset && !isDurable
        let expected = model.append(records, isDurable: isDurable)
        #expect(offsets == expected, "\(context)")
        // A roll before the append made what was there durable, a crash may keep more than that.
        if wasRolled { model.flush(upTo: offsets.lowerBound) }
    }

    private mutating func value(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    private mutating func trim() async throws {
        let offset = Int64(random.below(Int(model.endOffset) + 2))
        history.append("trim to \(offset)")
        let limit = min(model.highWatermark ?? model.endOffset, model.endOffset)
        if offset > limit {
            await expectLogError(.offsetOutOfRange, "\(context)") {
                try await log.deleteRecords(before: offset)
            }
        } else {
            try await log.deleteRecords(before: offset)
            model.deleteRecords(before: offset)
        }
    }

    private mutating func truncate() async throws {
        // A leader's and a replica's logs are never compacted beyond what they agree on.
        let floor = Int(model.compactedUpTo)
        let offset = Int64(floor + random.below(Int(model.endOffset) + 2 - floor))
        history.append("truncate to \(offset)")
        if offset > model.endOffset || offset < model.startOffset {
            await expectLogError(.offsetOutOfRange, "\(context)") {
                try await log.truncate(to: offset)
            }
        } else {
            let end = try await log.truncate(to: offset)
            model.truncate(to: offset)
            #expect(end == model.endOffset, "\(context)")
        }
    }

    private mutating func compact() async throws {
        history.append("compact")
        guard isCompacted else {
            await expectLogError(.invalidConfiguration) { try await log.compact(force: true) }
            return
        }
        guard let report = try await log.compact(force: true) else { return }
        let areNone = report.passedOverSegments == 0 && !report.isPartial
        #expect(areNone, "\(context)")
        model.compact(upTo: report.cleanedUpTo)
    }

    private mutating func crash() async throws {
        history.append("crash")
        storage.crash([.bySeed, .bySeed, .dropUnsynced, .keepAll][random.below(4)])
        // Crashes inside the recovery.
        while random.below(4) == 0 {
            storage.inject(Fault(.inputOutput, at: 1 + random.below(20), isPersistent: true))
            _ = try? await openLog(on: storage, configuration)
            storage.clearFaults()
            storage.crash(.bySeed)
            history.append("crash in recovery")
        }
        log = try await openLog(on: storage, configuration)
        #expect(log.recovery.quarantined.isEmpty, "\(context)")
        let end = log.endOffset
        let bounds = (model.durableOffset, model.endOffset)
        let isPrefix = model.crash(leaving: end)
        #expect(
            isPrefix,
            "\(end) of \(bounds.0) to \(bounds.1), \(context)")
    }

    private var context: String { "seed \(seed): \(history.joined(separator: "; "))" }

    private mutating func compare() async throws {
        #expect(log.endOffset == model.endOffset, "\(context)")
        #expect(log.startOffset == model.startOffset, "\(context)")
        #expect(
            log.highWatermark == min(model.highWatermark ?? model.endOffset, model.endOffset),
            "\(context)")
        #expect(log.epochs.latest == model.epoch, "\(context)")
        for epoch in -1...model.epoch + 1 {
            let (found, expected) = (log.endOffset(forEpoch: epoch), model.end(of: epoch))
            #expect(
                found?.epoch == expected?.epoch && found?.endOffset == expected?.endOffset,
                "epoch \(epoch), \(context)")
        }
        let from =
            model.startOffset + Int64(random.below(Int(model.endOffset - model.startOffset) + 1))
        for offset in [model.startOffset, from] {
            var found: [StoredRecord] = []
            for try await batch in BatchSequence(
                log, from: offset, following: false, isolation: .logEnd)
            { found += try batch.records().filter { $0.offset >= offset } }
            let areEqual = found == model.records.filter { $0.offset >= offset }
            #expect(areEqual, "from \(offset), \(context)")
        }
        let visible = try await log.all(from: model.startOffset)
        let limit = model.highWatermark ?? model.endOffset
        // Batches are handed out whole.
        let shown =
            limit <= model.startOffset
            ? []
            : model.batches.filter { $0.baseOffset < limit }.flatMap(\.records)
                .filter { $0.offset >= model.startOffset }
        let areEqual = visible == shown
        #expect(areEqual, "up to the high watermark, \(context)")
        for outside in [model.startOffset - 1, model.endOffset + 1] {
            await expectLogError(.offsetOutOfRange, "\(context)") {
                _ = try await log.read(from: outside, maximumBytes: 1)
            }
        }
    }
}
