import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// The rules of survival, held against a model over random histories of records, tombstones,
/// transactions and passes with maps that are too small.
@Suite struct CompactionPassTests {
    @Test func whatSurvivesIsWhatTheModelSays() throws {
        for seed in seeds(60) {
            var random = SplitMix64(seed: seed)
            var history = History(random: &random)
            for _ in 0..<8 {
                for _ in 0..<random.below(12) { try history.append(&random) }
                history.now += Int64(random.below(2000))
                try history.compact(mapBytes: [48, 150, 400, 1 << 16][random.below(4)], &random)
                try history.check("seed \(seed)")
            }
        }
    }

    /// Behind something that cannot be read no tombstone goes, however old: what it hides may be
    /// there.
    @Test func tombstonesStayBehindWhatIsPassedOver() throws {
        let value = try KeyedBatch([Record(key: [1], value: [1], timestamp: 0)], baseOffset: 0)
        let grave = try KeyedBatch([Record(key: [1], value: nil, timestamp: 0)], baseOffset: 1) {
            $0.attributes |= BatchHeader.deleteHorizonFlag
        }
        for isPassedOver in [false, true] {
            let map = CompactionMap(byteBudget: 1000, expectedKeys: 10, hash: KeyHash(1, 2))
            var mapping = CompactionMapping(map, from: 0, aborted: [])
            for batch in [value, grave] {
                let isIn = mapping.note(batch.block.unsafeBytes, batch.header)
                #expect(isIn)
            }
            var pass = CompactionPass(
                mapping, now: 1_000_000, deleteRetentionMilliseconds: 10, aborted: [],
                producers: [:])
            if isPassedOver { pass.passOver() }
            let outcome = pass.apply(grave.block.unsafeBytes, grave.header, isLast: false)
            switch outcome {
            case .dropped: #expect(!isPassedOver)
            case .unchanged: #expect(isPassedOver)
            default: Issue.record("expected the tombstone to stay or to go")
            }
        }
    }

    /// A batch whose records cannot be read is kept, and is passed over.
    @Test func unreadableBatchesAreKept() throws {
        let batch = try KeyedBatch([Record(key: [1], value: [1], timestamp: 0)], baseOffset: 0)
        var header = batch.header
        header.attributes |= 7
        let map = CompactionMap(byteBudget: 1000, expectedKeys: 10, hash: KeyHash(1, 2))
        var mapping = CompactionMapping(map, from: 0, aborted: [])
        let isIn = mapping.note(batch.block.unsafeBytes, header)
        #expect(isIn)
        #expect(mapping.end == 1)
        var pass = CompactionPass(
            mapping, now: 0, deleteRetentionMilliseconds: 0, aborted: [], producers: [:])
        guard case .opaque = pass.apply(batch.block.unsafeBytes, header, isLast: false) else {
            Issue.record("expected the batch to be kept as it is")
            return
        }
    }
}

/// A log in memory: what was ever appended, and what compaction left of it.
private struct History {
    private static let retention = 1000

    private struct Entry {
        var offset: Int64
        var batch: KeyedBatch
    }

    var now: Int64 = 1_000_000
    private var appended: [KeyedBatch] = []
    private var stored: [KeyedBatch] = []
    private var aborted: [AbortedRange] = []
    /// The first offset of each open transaction.
    private var open: [Int64: Int64] = [:]
    private var producers: [Int64: ProducerLastBatch] = [:]
    /// When a pass first mapped each tombstone.
    private var mappedAt: [Int64: Int64] = [:]
    private var cleanedUpTo: Int64 = 0
    /// Batches before this place in `stored` have been through the last pass.
    private var rewrittenEnd: Int64 = 0
    private var lastPass: Int64 = 0
    /// When a pass first met each marker with nothing of its transaction left.
    private var obsoleteAt: [Int64: Int64] = [:]
    private let remembers: Bool

    init(random: inout SplitMix64) { remembers = random.coin() }

    private var end: Int64 { appended.last?.header.nextOffset ?? 0 }

    mutating func append(_ random: inout SplitMix64) throws {
        let producer = Int64(random.below(3))
        let base = end
        let batch: KeyedBatch
        if let first = open[producer], random.below(3) == 0 {
            let commits = random.coin()
            let kind: UInt8 = commits ? 1 : 0
            let marker = Record(key: [0, 0, 0, kind], value: [0, 0, 0, 0, 0, 0], timestamp: now)
            batch = try KeyedBatch([marker], baseOffset: base) { header in
                header.producerID = producer
                header.producerEpoch = 0
                header.attributes |= BatchHeader.transactionalFlag | BatchHeader.controlFlag
            }
            if !commits {
                aborted.append(AbortedRange(producerID: producer, offsets: first...base))
            }
            open[producer] = nil
        } else {
            let isTransactional = random.below(3) == 0 || open[producer] != nil
            let plain = try KeyedBatch(random: &random, baseOffset: base, keys: 12)
            batch = try KeyedBatch(plain.records.map(\.record), baseOffset: base) { header in
                guard isTransactional || random.coin() else { return }
                header.producerID = producer
                header.producerEpoch = 0
                if isTransactional { header.attributes |= BatchHeader.transactionalFlag }
            }
            if isTransactional, open[producer] == nil { open[producer] = base }
            if remembers, batch.header.producerID >= 0 {
                producers[producer] = ProducerLastBatch(
                    lastDataOffset: batch.header.nextOffset - 1, producerEpoch: 0)
            }
        }
        appended.append(batch)
        stored.append(batch)
    }

    mutating func compact(mapBytes: Int, _ random: inout SplitMix64) throws {
        let limit = open.values.min() ?? end
        let map = CompactionMap(
            byteBudget: mapBytes, expectedKeys: 1000, hash: KeyHash(using: &random))
        var mapping = CompactionMapping(map, from: cleanedUpTo, aborted: aborted)
        for batch in stored where batch.header.nextOffset <= limit {
            guard mapping.note(batch.block.unsafeBytes, batch.header) else { break }
        }
        #expect(mapping.end >= cleanedUpTo)
        var pass = CompactionPass(
            mapping, now: now, deleteRetentionMilliseconds: Self.retention, aborted: aborted,
            producers: producers)
        let last = stored.lastIndex { $0.header.baseOffset < mapping.end }
        guard let last else { return }
        var observed: Set<Int64> = []
        for batch in stored[...last] where batch.header.isTransactional {
            let (producer, offset) = (batch.header.producerID, batch.header.baseOffset)
            if !batch.header.isControl {
                observed.insert(producer)
            } else if observed.remove(producer) == nil, obsoleteAt[offset] == nil {
                obsoleteAt[offset] = now
            }
        }
        var kept: [KeyedBatch] = []
        for (index, batch) in stored.enumerated() {
            guard index <= last else {
                kept.append(batch)
                continue
            }
            let outcome = pass.apply(
                batch.block.unsafeBytes, batch.header, isLast: index == last)
            switch outcome {
            case .unchanged: kept.append(batch)
            case .dropped: break
            case .rewritten(let block): kept.append(try KeyedBatch(block))
            case .opaque: Issue.record("opaque")
            }
        }
        rewrittenEnd = stored[last].header.nextOffset
        stored = kept
        lastPass = now
        for batch in appended where batch.header.nextOffset <= mapping.end {
            for record in batch.records where record.value == nil {
                if mappedAt[record.offset] == nil { mappedAt[record.offset] = now }
            }
        }
        cleanedUpTo = mapping.end
    }

    private func isAborted(_ batch: KeyedBatch) -> Bool {
        batch.header.isTransactional
            && aborted.contains {
                $0.producerID == batch.header.producerID
                    && $0.offsets.contains(batch.header.baseOffset)
            }
    }

    func check(_ context: Comment) throws {
        let all = appended.flatMap { batch in
            batch.header.isControl
                ? [] : batch.records.map { ($0, isAborted: isAborted(batch), batch) }
        }
        let found = Dictionary(
            uniqueKeysWithValues: stored.flatMap(\.records).map { ($0.offset, $0) })
        // The latest of each key among what the passes have mapped, and in the whole log.
        var latest: [[UInt8]: Int64] = [:]
        for (record, isAborted, _) in all where !isAborted && record.offset < cleanedUpTo {
            if let key = record.key { latest[key] = record.offset }
        }
        for (record, isAborted, batch) in all {
            let place: Comment = "\(context.rawValue), offset \(record.offset)"
            let isThere = found[record.offset] != nil
            if isThere { #expect(found[record.offset] == record, place) }
            if isAborted {
                #expect(!isThere || batch.header.baseOffset >= rewrittenEnd, place)
            } else if record.offset >= cleanedUpTo {
                #expect(isThere, "not yet mapped, \(place)")
            } else if record.key == nil || latest[record.key!] != record.offset {
                #expect(!isThere, "obsolete, \(place)")
            } else if record.value != nil {
                #expect(isThere, "the latest of its key, \(place)")
            } else {
                checkTombstone(record, batch, isThere, place)
            }
        }
        try checkTransactions(context)
        for (producer, last) in producers {
            #expect(
                stored.contains {
                    $0.header.producerID == producer
                        && $0.header.nextOffset - 1 == last.lastDataOffset
                }, "producer \(producer), \(context.rawValue)")
        }
        #expect(stored.last?.header.nextOffset == appended.last?.header.nextOffset, context)
    }

    /// A tombstone stays for the whole grace, counted from the pass that removed all older records.
    private func checkTombstone(
        _ record: StoredRecord, _ batch: KeyedBatch, _ isThere: Bool, _ place: Comment
    ) {
        guard let mappedAt = mappedAt[record.offset] else {
            #expect(isThere, "its batch is not wholly mapped, \(place)")
            return
        }
        if now < mappedAt + Int64(Self.retention) {
            #expect(isThere, "within its grace, \(place)")
        }
        if batch.header.baseOffset < rewrittenEnd, lastPass >= mappedAt + Int64(Self.retention) {
            #expect(!isThere, "past its grace, \(place)")
        }
    }

    /// What is left of a transaction is followed by its own marker, and a marker has its grace.
    private func checkTransactions(_ context: Comment) throws {
        let markers = Set(
            stored.filter { $0.header.isControl && $0.header.recordCount == 1 }.map(
                \.header.baseOffset))
        for batch in appended where batch.header.isControl {
            let offset = batch.header.baseOffset
            let horizon = obsoleteAt[offset].map { $0 + Int64(Self.retention) }
            if horizon.map({ lastPass < $0 }) ?? true {
                #expect(markers.contains(offset), "marker \(offset), \(context.rawValue)")
            } else if offset < rewrittenEnd {
                #expect(!markers.contains(offset), "marker \(offset), \(context.rawValue)")
            }
        }
        for batch in stored where batch.header.isTransactional && !batch.header.isControl {
            func marker(in batches: [KeyedBatch]) -> Int64? {
                batches.first {
                    $0.header.isControl && $0.header.producerID == batch.header.producerID
                        && $0.header.baseOffset > batch.header.baseOffset
                }?.header.baseOffset
            }
            #expect(marker(in: stored) == marker(in: appended), context)
        }
    }
}
