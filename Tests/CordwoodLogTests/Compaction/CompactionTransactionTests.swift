import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Transactions and producers come through compaction.
@Suite(.timeLimit(.minutes(30))) struct CompactionTransactionTests {
    private struct Sent {
        var offset: Int64
        var record: Record
        /// The producer whose transaction it belongs to.
        var producer: Int64?
        var isAborted = false
        var isOpen = false
    }

    @Test func committedRecordsSurviveAndAbortedOnesGo() async throws {
        for seed in seeds(25) {
            var random = SplitMix64(seed: seed)
            let storage = SimulatedStorage(seed: seed)
            var configuration = LogConfiguration.smallCompacted
            configuration.deleteRetentionMilliseconds = 1000
            configuration.compressionType = [.producer, .lz4(), .gzip()][random.below(3)]
            var log = try await openLog(on: storage, configuration)
            var sent: [Sent] = []
            var sequences: [Int64: Int32] = [:]
            var open: Set<Int64> = []
            for step in 0..<60 {
                let context: Comment = "seed \(seed), step \(step)"
                let producer = Int64(random.below(3))
                switch random.below(10) {
                case 0:
                    storage.simulatedClock.advance(milliseconds: Int64(random.below(1500)))
                    try await log.roll()
                    try await log.compact(
                        force: true,
                        options: .small(mapBytes: [100, 1 << 16][random.below(2)]))
                    try await check(log, sent, context)
                case 1:
                    let states = await log.producers()
                    try await log.close()
                    log = try await openLog(on: storage, configuration)
                    #expect(await log.producers().map(\.producerID) == states.map(\.producerID))
                    #expect(await log.producers().map(\.epoch) == states.map(\.epoch))
                    try await check(log, sent, context)
                case 2...4 where open.contains(producer):
                    let commits = random.coin()
                    _ = try await log.appendMarker(
                        commits ? .commit : .abort, producerID: producer, epoch: 0,
                        coordinatorEpoch: 0)
                    for index in sent.indices
                    where sent[index].producer == producer && sent[index].isOpen {
                        sent[index].isOpen = false
                        sent[index].isAborted = !commits
                    }
                    open.remove(producer)
                default:
                    let records = (0..<1 + random.below(3)).map { _ in
                        Record(
                            key: [UInt8(random.below(8))],
                            value: random.below(5) == 0
                                ? nil : [UInt8](repeating: 7, count: random.below(80)),
                            timestamp: SimulatedClock.defaultMilliseconds + Int64(step))
                    }
                    let base = sequences[producer, default: 0]
                    let offsets = try await log.append(
                        records,
                        producer: ProducerSequence(
                            producerID: producer, epoch: 0, baseSequence: base,
                            isTransactional: true))
                    sequences[producer] = base + Int32(records.count)
                    open.insert(producer)
                    for (offset, record) in zip(offsets, records) {
                        sent.append(
                            Sent(offset: offset, record: record, producer: producer, isOpen: true))
                    }
                }
            }
            try await log.close()
        }
    }

    /// Compaction removes an aborted transaction, records first and then the marker, while a snapshot
    /// is kept that was written in the middle of it. A log that goes on from this snapshot must not
    /// find the transaction open.
    @Test(arguments: ["truncated", "damaged", "begun anew"])
    func aMarkerThatIsGoneIsNotMissed(_ how: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        var configuration = LogConfiguration.smallCompacted
        configuration.deleteRetentionMilliseconds = 1000
        var log = try await openLog(on: storage, configuration)
        func produce(_ sequence: Int32, _ key: String) async throws {
            _ = try await log.append(
                [Record("x", key: key)],
                producer: ProducerSequence(
                    producerID: 1, epoch: 0, baseSequence: sequence, isTransactional: true))
        }
        _ = try await log.append([Record("0", key: "a")])
        try await produce(0, "b")  // 1
        try await log.roll()
        _ = try await log.end(.abort)  // 2
        // Another, which is open at the end of what is kept.
        if how == "begun anew" { try await produce(1, "c") }  // 3
        _ = try await log.append([Record("3", key: "d")])
        let cut = log.endOffset
        try await log.roll()
        // So that the first batch is not its producer's last.
        if how != "begun anew" { try await produce(1, "c") }
        _ = try await log.end(.commit)
        try await log.roll()
        _ = try await log.append([Record("6", key: "e")])
        for _ in 0..<4 {
            storage.simulatedClock.advance(milliseconds: 2000)
            try await log.compact(force: true, options: .small())
        }
        let batches = try await log.read(from: 0, maximumBytes: 1 << 20, isolation: .logEnd)
        #expect(!batches.contains { $0.marker == .abort })
        #expect(log.lastStableOffset == log.endOffset)
        #expect(await log.producerSnapshots.contains(2))
        if how == "damaged" {
            // The newer snapshots.
            for offset in await log.producerSnapshots where offset > 2 {
                try storage.flip(SegmentFiles.producerSnapshot(offset, in: logPath()), byte: 40)
            }
            storage.crash(.dropUnsynced)
            log = try await openLog(on: storage, configuration)
            #expect(log.recovery.notes.count > 1)
            #expect(log.lastStableOffset == log.endOffset)
            return
        }
        for offset in await log.producerSnapshots where offset > 2 && offset <= cut {
            try storage.flip(SegmentFiles.producerSnapshot(offset, in: logPath()), byte: 40)
        }
        #expect(try await log.truncate(to: cut) == cut)
        #expect(log.lastStableOffset == (how == "begun anew" ? 3 : cut))
        storage.crash(.dropUnsynced)
        log = try await openLog(on: storage, configuration)
        #expect(log.lastStableOffset == (how == "begun anew" ? 3 : cut))
        // What is known of its sequence stays.
        #expect(await log.producers().first?.lastSequence == (how == "begun anew" ? 1 : 0))
    }

    private func check(_ log: SimulatedLog, _ sent: [Sent], _ context: Comment) async throws {
        #expect(try await log.verify().isSound, context)
        let stable = log.lastStableOffset
        var found: [StoredRecord] = []
        let all = RecordSequence(
            log, from: log.startOffset, following: false, isolation: .committed)
        for try await record in all { found.append(record) }
        let decided = sent.filter { $0.offset < stable }
        let byOffset = Dictionary(uniqueKeysWithValues: decided.map { ($0.offset, $0) })
        for record in found {
            let original = byOffset[record.offset]
            #expect(original?.record == record.record, context)
            #expect(original?.isAborted == false, context)
        }
        let offsets = Set(found.map(\.offset))
        let committed = decided.filter { !$0.isAborted }
        for (_, records) in Dictionary(grouping: committed, by: \.record.key) {
            guard let latest = records.last else { continue }
            if latest.record.value != nil {
                #expect(offsets.contains(latest.offset), "lost \(latest); \(context.rawValue)")
            } else if !offsets.contains(latest.offset) {
                #expect(
                    !records.contains { offsets.contains($0.offset) },
                    "a deleted record came back; \(context.rawValue)")
            }
        }
        // What is not decided is all there.
        let rest = try await log.allReadable().map(\.offset)
        #expect(
            Set(sent.map(\.offset).filter { $0 >= stable }).isSubset(of: Set(rest)), context)
    }
}
