import CordwoodSimulation
import CordwoodStorage
import Glibc
import TestSupport
import Testing

@testable import CordwoodLog

/// What lies beside the segments is held against the batches, and shown.
@Suite struct LogInspectorViewTests {
    private static let producer: Int64 = 1

    /// Two sealed segments and an active one. In the first producer 2 aborts a transaction that
    /// another's opens before, in the second producer 3 commits one and aborts another; producer 4
    /// has one open.
    private func makeLog(
        _ storage: SimulatedStorage, closing: Bool = true
    ) async throws -> SimulatedLog {
        let log = try await openLog(on: storage, .small)
        for number in 0..<6 {
            _ = try await log.append(
                [
                    Record(
                        key: [1], value: Array("value \(number)".utf8),
                        timestamp: Int64(90 - number))
                ])
        }
        _ = try await log.produce(Self.producer, sequence: 0, count: 2)
        _ = try await log.produce(3, sequence: 0, transactional: true)
        _ = try await log.produce(2, sequence: 0, transactional: true)
        _ = try await log.end(.abort, 2)
        try await log.roll()
        _ = try await log.produce(Self.producer, sequence: 2)
        _ = try await log.end(.commit, 3, coordinator: 5)
        _ = try await log.produce(3, sequence: 1, transactional: true)
        _ = try await log.end(.abort, 3, coordinator: 5)
        try await log.roll()
        _ = try await log.produce(4, epoch: 2, sequence: 7, transactional: true)
        if closing { try await log.close() }
        return log
    }

    private func damage(in storage: SimulatedStorage) async throws -> [Damage] {
        try await inspect(storage).report.damage
    }

    private let first = SegmentHeader(logID: testLogID, baseOffset: 0)
    private let second = SegmentHeader(logID: testLogID, baseOffset: 11)
    private let third = SegmentHeader(logID: testLogID, baseOffset: 15)

    // MARK: Shown

    private func lines(_ items: [InspectionItem], _ kinds: InspectionItem.Kind...) -> [String] {
        items.filter { kinds.contains($0.kind) }.map { item in
            let fields = item.fields.map { name, value in
                switch value {
                case .integer(let number): "\(name)=\(number)"
                case .text(let text): "\(name)=\(text)"
                case .boolean(let boolean): "\(name)=\(boolean)"
                case .hexadecimal, .bytes: name
                }
            }
            return ([item.kind.rawValue] + fields).joined(separator: " ")
        }
    }

    @Test(arguments: [true, false]) func showsTransactions(closed: Bool) async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await makeLog(storage, closing: closed)
        let (items, report) = try await inspect(storage) { $0.showsTransactions = true }
        #expect(report.isSound, "\(report.damage)")
        #expect(
            lines(items, .transaction) == [
                "transaction state=aborted producerID=2 producerEpoch=0 coordinatorEpoch=0 "
                    + "firstOffset=9 lastOffset=10 lastStableOffset=8",
                "transaction state=committed producerID=3 producerEpoch=0 coordinatorEpoch=5 "
                    + "firstOffset=8 lastOffset=12 lastStableOffset=13",
                "transaction state=aborted producerID=3 producerEpoch=0 coordinatorEpoch=5 "
                    + "firstOffset=13 lastOffset=14 lastStableOffset=15",
                "transaction state=open producerID=4 producerEpoch=2 firstOffset=15",
            ])
        #expect(lines(items, .producer, .producers, .producerSnapshot).isEmpty)
        if !closed { try await log.close() }
    }

    @Test func showsProducersAsSnapshotsAndBatchesHaveThem() async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        let (items, report) = try await inspect(storage) { $0.showsProducers = true }
        #expect(report.isSound, "\(report.damage)")
        let now = SimulatedClock.defaultMilliseconds
        let shown = lines(items, .producerSnapshot, .producers)
        #expect(
            shown == [
                "producerSnapshot offset=11 segment=11 producers=3 aborted=0",
                "producerSnapshot offset=15 segment=15 producers=3 aborted=0",
                "producerSnapshot offset=16 segment=15 producers=4 aborted=0",
                "producers offset=16 producers=4 complete=true",
            ])
        let last = [
            "producer producerID=1 epoch=0 lastSequence=2 batches=0-1@6,2-2@11 "
                + "lastTimestamp=\(now)",
            "producer producerID=2 epoch=0 lastSequence=0 batches=0-0@9 coordinatorEpoch=0 "
                + "lastTimestamp=\(now)",
            "producer producerID=3 epoch=0 lastSequence=1 batches=0-0@8,1-1@13 "
                + "coordinatorEpoch=5 lastTimestamp=\(now)",
            "producer producerID=4 epoch=2 lastSequence=7 batches=7-7@15 transactionStart=15 "
                + "lastTimestamp=\(now)",
        ]
        #expect(lines(items, .producer).suffix(8) == last + last)
        // The places of a snapshot's entries are those of its bytes.
        let path = try SegmentFiles.producerSnapshot(16, in: logPath())
        let bytes = try #require(storage.contents(of: path))
        for item in items where item.kind == .producer && item.path == path.description {
            let place = try #require(item.position)
            let id = bytes.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: place, as: Int64.self)
            }
            #expect(lines([item], .producer)[0].hasPrefix("producer producerID=\(id) "))
        }
    }

    @Test func showsEntriesOfAllIndexes() async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        let (items, _) = try await inspect(storage) { $0.showsIndexes = true }
        let times = lines(items, .timeIndex, .timeEntry)
        #expect(
            times.prefix(2) == ["timeIndex pages=1 entries=3", "timeEntry timestamp=-1 offset=0"])
        #expect(times.dropFirst(2).first?.hasPrefix("timeEntry timestamp=90 offset=") == true)
        #expect(
            lines(items, .transactionIndex, .abortedTransaction) == [
                "transactionIndex entries=1 end=11 lastStableOffset=8",
                "abortedTransaction producerID=2 firstOffset=9 lastOffset=10 lastStableOffset=8",
                "transactionIndex entries=1 end=15 lastStableOffset=15",
                "abortedTransaction producerID=3 firstOffset=13 lastOffset=14 lastStableOffset=15",
            ])
        // Alone, a segment goes on from the snapshot that it begins with.
        let (alone, report) = try await inspect(storage) {
            $0.baseOffset = 11
            $0.showsTransactions = true
        }
        #expect(report.isSound && report.segments == 1, "\(report.damage)")
        #expect(lines(alone, .transaction).first?.contains("firstOffset=8 ") == true)
    }

    // MARK: Told

    @Test(arguments: ["timestamp", "offset", "extra"])
    func aTimeIndexThatLiesIsTold(_ lie: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        let file = try IndexFile<SimulatedStorage, TimeIndex>(
            header: first, directory: logPath(), storage: storage)
        var entries = try await file.loadPrefix().index.entries
        switch lie {
        case "timestamp": entries[entries.count - 1].timestamp += 1
        case "offset": entries[entries.count - 1].relativeOffset = 7
        default: entries.append(.init(timestamp: .max, relativeOffset: 11))
        }
        var index = TimeIndex(baseOffset: 0)
        for entry in entries {
            let isTaken = index.append(read: entry)
            #expect(isTaken)
        }
        try await file.replace(with: index)
        let found = try await damage(in: storage)
        #expect(found.map(\.path) == [file.path.description], "\(found)")
        let words = ["timestamp": "largest timestamp", "offset": "no batch begins"]
        let expected = words[lie] ?? "before the segment's end"
        #expect(found.allSatisfy { $0.problem.contains(expected) }, "\(found)")
    }

    @Test(arguments: ["missing", "extra", "firstOffset", "producer", "stable", "end"])
    func aTransactionIndexThatLiesIsTold(_ lie: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        let file = try TransactionIndexFile(header: second, directory: logPath(), storage: storage)
        var index = try #require(try await file.load(end: 15))
        #expect(index.entries.count == 1 && index.stableOffset == 15)
        switch lie {
        case "missing": index.entries = []
        case "extra":
            index.entries.insert(
                AbortedTransaction(
                    producerID: 3, firstOffset: 8, lastOffset: 12, lastStableOffset: 13), at: 0)
        case "firstOffset": index.entries[0].firstOffset = 8
        case "producer": index.entries[0].producerID = 9
        case "stable": index.stableOffset = 13
        default:
            index.end = 16
            index.stableOffset = 15
        }
        try await file.replace(with: index)
        let found = try await damage(in: storage)
        #expect(found.map(\.path) == [file.path.description], "\(found)")
        // Also where the segment is looked at alone.
        #expect(try await !inspect(storage) { $0.baseOffset = 11 }.report.isSound)
        // Where nothing says what came before, markers still tell.
        try await storage.remove(SegmentFiles.producerSnapshot(11, in: logPath()))
        let alone = try await inspect(storage) { $0.baseOffset = 11 }.report
        #expect(alone.isSound == ["missing", "firstOffset", "stable"].contains(lie), "\(alone)")
    }

    private func write(_ snapshot: ProducerSnapshot, _ storage: SimulatedStorage) async throws {
        try await storage.replace(
            SegmentFiles.producerSnapshot(snapshot.offset, in: logPath()),
            with: [MemorySlice(snapshot.encode(logID: testLogID))], in: logPath())
    }

    private func snapshot(_ offset: Int64, _ storage: SimulatedStorage) async throws
        -> ProducerSnapshot
    {
        let path = try SegmentFiles.producerSnapshot(offset, in: logPath())
        let block = try #require(try await storage.content(of: path, maximumBytes: 1 << 20))
        return try #require(
            ProducerSnapshot(block.unsafeBytes, logID: testLogID, expectedOffset: offset))
    }

    private static let lies: [String: @Sendable (inout ProducerSnapshot) -> Void] = [
        "epoch": { $0.states.producers[3]?.epoch = 1 },
        "coordinator": { $0.states.producers[2]?.coordinatorEpoch = 3 },
        "time": { $0.states.producers[1]?.lastActivity += 1 },
        "batches": { $0.states.producers[1]?.batches[0].firstOffset -= 1 },
        "unknown": { $0.states.producers[77] = ProducerState(epoch: 0) },
        "closed": { $0.states.producers[3]?.transactionStart = nil },
        "opened": { $0.states.producers[1]?.transactionStart = 2 },
        "lost": { $0.states.producers[3] = nil },
    ]

    @Test(arguments: lies.keys.sorted()) func aSnapshotThatLiesIsTold(_ lie: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        var snapshot = try await snapshot(11, storage)
        Self.lies[lie]?(&snapshot)
        if lie == "batches" { snapshot.states.producers[1]?.batches[0].lastOffset -= 1 }
        try await write(snapshot, storage)
        let found = try await damage(in: storage)
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.path.hasSuffix("11.snapshot") == true, "\(found)")
    }

    @Test func aSnapshotInTheMiddleThatLiesIsTold() async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        var lie = try await snapshot(16, storage)
        lie.aborted = [
            AbortedTransaction(
                producerID: 4, firstOffset: 14, lastOffset: 15, lastStableOffset: 15)
        ]
        try await write(lie, storage)
        let found = try await damage(in: storage)
        #expect(found.count == 1 && found.first?.path.hasSuffix("16.snapshot") == true, "\(found)")
    }

    @Test(arguments: ["index", "timeindex", "txnindex", "snapshot"])
    func aFileThatIsMissingBesideASealedSegmentIsTold(_ suffix: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        let path = try logPath().appending("\(second.id).\(suffix)")
        try await storage.remove(path)
        let found = try await damage(in: storage)
        #expect(found.map(\.path) == [path.description], "\(found)")
    }

    @Test(arguments: ["index", "timeindex", "txnindex", "snapshot"])
    func aFileThatIsNoFileIsTold(_ suffix: String) async throws {
        let storage = SimulatedStorage(seed: 1)
        _ = try await makeLog(storage)
        let path = try logPath().appending("\(second.id).\(suffix)")
        let size = try #require(storage.contents(of: path)).count
        for length in [4095, 64, 63, 1, 0] where length < size {
            try storage.cut(path, to: length)
            let found = try await damage(in: storage)
            #expect(found.map(\.path) == [path.description], "\(length): \(found)")
        }
    }

    /// What a segment lost is not held against what lies beside it, nor beside the others.
    @Test func damageIsToldWhereItIs() async throws {
        for segment in [first, second, third] {
            let storage = SimulatedStorage(seed: 1)
            _ = try await makeLog(storage)
            let path = try SegmentFiles.log(segment.id, in: logPath())
            let size = try #require(storage.contents(of: path)).count
            for byte in stride(from: SegmentHeader.byteCount + 3, to: size, by: 37) {
                try storage.flip(path, byte: byte)
                let found = try await damage(in: storage)
                #expect(!found.isEmpty, "\(path) byte \(byte)")
                #expect(found.allSatisfy { $0.path == path.description }, "\(byte): \(found)")
                try storage.flip(path, byte: byte)
            }
            // Recovery quarantines what it finds in the active one, and goes on.
            try storage.flip(path, byte: SegmentHeader.byteCount + 70)
            let log = try await openLog(on: storage, .small)
            _ = try await log.produce(5, sequence: 0)
            try await log.roll()
            _ = try await log.append([Record("end")])
            try await log.close()
            let found = try await damage(in: storage)
            #expect(found.map(\.path) == [path.description], "\(found)")
        }
    }

    // MARK: In order

    /// Another process gives segments up while the first of them is looked at.
    @Test func whatALogGivesUpMeanwhileIsNoDamage() async throws {
        let folder = TemporaryDirectory()
        let storage = try await LinuxStorage.open(root: folder.path)
        func open() async throws -> PartitionLog<LinuxStorage> {
            try await PartitionLog.open(logPath(), on: storage, configuration: .small)
        }
        var log = try await open()
        for sequence in 0..<3 {
            _ = try await log.produce(sequence: Int32(sequence))
            try await log.roll()
        }
        _ = try await log.append([Record("end")])
        try await log.close()
        let before = folder.snapshot("log")
        log = try await open()
        try await log.deleteRecords(before: 2)
        try await log.close()
        let after = folder.snapshot("log")
        let gone = before.keys.filter { after[$0] == nil }
        #expect(gone.count == 2 * 4, "\(gone)")
        func write(_ files: [String: [UInt8]]) {
            for (path, bytes) in files {
                folder.write(String(path.dropFirst(folder.path.count + 1)), bytes)
            }
        }
        write(before)
        var notes: [String] = []
        var inspector = try LogInspector(logPath(), on: storage, .init()) { item in
            if item.kind == .segment {
                write(after)
                for path in gone { unlink(path) }
            }
            if item.kind == .note, case .text(let text)? = item.fields.first?.value {
                notes.append(text)
            }
        }
        try await inspector.run()
        #expect(inspector.report.isSound, "\(inspector.report.damage)")
        #expect(notes.contains { $0.contains("gave its segment up") }, "\(notes)")
    }

    /// A producer that has expired is in no snapshot; its batches are in the log.
    @Test func whatHasExpiredIsNoDamage() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await makeLog(storage, closing: false)
        storage.simulatedClock.advance(milliseconds: 2 * 86_400_000)
        await log.expireProducers(now: storage.clock.millisecondsNow())
        #expect(await log.producers().map(\.producerID) == [4])
        // One comes back from where it was, and one with another number and an older coordinator.
        _ = try await log.produce(Self.producer, sequence: 3)
        _ = try await log.produce(3, sequence: 9, transactional: true)
        _ = try await log.end(.abort, 3)
        try await log.roll()
        _ = try await log.append([Record("end")])
        try await log.close()
        let found = try await damage(in: storage)
        #expect(found.isEmpty, "\(found)")
    }

    @Test func aSegmentWithoutProducersNeedsNoFiles() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        _ = try await log.append([Record("plain")])
        try await log.roll()
        _ = try await log.produce(sequence: 0)
        try await log.roll()
        _ = try await log.append([Record("end")])
        try await log.close()
        let (items, report) = try await inspect(storage)
        #expect(report.isSound, "\(report.damage)")
        #expect(!items.contains { $0.path.hasSuffix("txnindex") && $0.kind == .note })
        #expect(
            storage.contents(of: SegmentFiles.transactionIndex(first.id, in: try logPath())) == nil)
    }

    @Test func aSnapshotThatNobodyReadsIsANote() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        _ = try await log.append([Record("plain")])
        try await log.close()
        // Of batches that a crash took, and of a log without producers.
        try await write(ProducerSnapshot(at: 9, segmentBase: 0), storage)
        var (items, report) = try await inspect(storage)
        #expect(
            report.isSound && items.contains { $0.kind == .note && $0.path.hasSuffix("9.snapshot") }
        )
        let again = try await openLog(on: storage, .small)
        _ = try await again.produce(sequence: 0)
        try await again.close()
        try await write(ProducerSnapshot(at: 9, segmentBase: 0), storage)
        (items, report) = try await inspect(storage)
        #expect(
            report.isSound && items.contains { $0.kind == .note && $0.path.hasSuffix("9.snapshot") }
        )
    }

    /// A log that rolls, cuts and compacts on its way, and dies on it: nothing of that is damage.
    @Test func whateverALogDoesIsNoDamage() async throws {
        var kinds: Set<String> = []
        for seed in seeds(30) {
            let storage = SimulatedStorage(seed: seed)
            var random = SplitMix64(seed: seed)
            var configuration = LogConfiguration.small
            configuration.segmentBytes = SegmentHeader.byteCount + 1100
            configuration.cleanupPolicy = seed % 3 == 0 ? .compact : .delete
            for life in 0..<3 {
                let log = try await openLog(on: storage, configuration)
                if seed % 2 == 0 { await log.checkpoint(every: 1 + random.below(500)) }
                var walk = InspectedLog(log: log, random: random)
                let count = 10 + random.below(50)
                for _ in 0..<count { try await walk.step(storage) }
                if walk.random.coin() { try await log.close() }
                random = walk.random
                kinds.formUnion(walk.done)
                let (items, report) = try await inspect(storage) {
                    $0.showsProducers = true
                    $0.showsTransactions = true
                    $0.showsIndexes = true
                }
                #expect(report.isSound, "seed \(seed), life \(life): \(report.damage)")
                #expect(!items.isEmpty)
                storage.crash([.bySeed, .dropUnsynced, .keepAll][random.below(3)])
                let crashed = try await inspect(storage).report
                #expect(crashed.isSound, "seed \(seed), crash \(life): \(crashed.damage)")
            }
        }
        #expect(
            kinds == ["append", "produce", "marker", "roll", "cut", "trim", "compact", "expire"])
    }
}

/// Random operations on a log.
private struct InspectedLog {
    let log: SimulatedLog
    var random: SplitMix64
    var done: Set<String> = []

    mutating func step(_ storage: SimulatedStorage) async throws {
        let id = Int64(random.below(3))
        let known = await log.ledger.queued.producers[id]
        switch random.below(24) {
        case 0:
            try await log.roll()
            done.insert("roll")
        case 1:
            let (start, end) = (log.startOffset, log.endOffset)
            try await log.truncate(to: end - min(end - start, Int64(random.below(20))))
            done.insert("cut")
        case 2:
            let (start, end) = (log.startOffset, log.endOffset)
            try await log.deleteRecords(before: start + min(end - start, Int64(random.below(20))))
            done.insert("trim")
        case 3 where log.configuration.cleanupPolicy == .compact:
            try await log.roll()
            try await log.compact(force: true, options: .small(mapBytes: 1 << 16))
            done.insert("compact")
        case 4:
            storage.simulatedClock.advance(milliseconds: 86_400_000)
            await log.expireProducers(now: storage.clock.millisecondsNow())
            done.insert("expire")
        case 5...9:
            _ = try await log.appendMarker(
                random.coin() ? .abort : .commit, producerID: id,
                epoch: max(0, known?.epoch ?? 0),
                coordinatorEpoch: max(0, known?.coordinatorEpoch ?? 0),
                acknowledge: .written)
            done.insert("marker")
        case 10...12:
            _ = try await log.append([record()], acknowledge: .written)
            done.insert("append")
        default:
            _ = try await log.append(
                (0...random.below(3)).map { _ in record() },
                producer: ProducerSequence(
                    producerID: id, epoch: known?.epoch ?? 0,
                    baseSequence: known?.nextSequence ?? 0,
                    isTransactional: known?.transactionStart != nil || random.coin()),
                acknowledge: random.coin() ? .durable : .written)
            done.insert("produce")
        }
    }

    private mutating func record() -> Record {
        Record(
            key: [UInt8(random.below(5))], value: [UInt8](repeating: 1, count: random.below(90)),
            timestamp: Int64(random.below(1000)))
    }
}
