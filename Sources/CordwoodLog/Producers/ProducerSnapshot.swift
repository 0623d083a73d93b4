import CordwoodStorage

/// What a log knows of producers and transactions at one offset: the state that a snapshot keeps
/// and a replay goes on from.
struct ProducerSnapshot: Hashable {
    /// Everything before this offset is taken in.
    var offset: Int64
    /// The segment that `offset` lies in, or begins.
    var segmentBase: Int64
    var states = ProducerStates()
    /// The aborted transactions whose markers lie in that segment, before ``offset``.
    var aborted: [AbortedTransaction] = []

    init(at offset: Int64, segmentBase: Int64) {
        self.offset = offset
        self.segmentBase = segmentBase
    }

    /// Takes in a batch of the log, at or behind ``offset``, with or without a producer.
    /// Returns the transaction that it ended.
    @discardableResult
    mutating func absorb(_ batch: RecordBatch) -> ProducerStates.Completed? {
        offset = batch.lastOffset + 1
        guard let producer = ProducerBatch(batch) else { return nil }
        let completed = states.absorb(producer, at: batch.baseOffset)
        if let completed, completed.marker == .abort { aborted.append(completed.transaction) }
        return completed
    }

    /// Goes over to a new segment, which begins at `base`.
    mutating func startSegment(at base: Int64) {
        offset = max(offset, base)
        segmentBase = base
        aborted = []
    }

    /// The last stable offset, as far as this log alone knows: everything before it is decided.
    var stableOffset: Int64 { states.firstUndecided ?? offset }
}

// MARK: - Format

extension ProducerSnapshot {
    /// One with more is not written: recovery replays more of the log then.
    static let maximumAborted = 1 << 16
    static let headerByteCount = 64
    private static let producerByteCount = 32
    private static let batchByteCount = 32
    private static let checksumPosition = 12
    private static let magic: UInt64 = 0x5453_444F_5250_5743  // "CWPRODST"
    private static let version: UInt32 = 1

    /// No snapshot is larger.
    static var maximumByteCount: Int {
        headerByteCount + maximumAborted * AbortedTransaction.byteCount
            + ProducerStates.maximumProducers
            * (producerByteCount + ProducerState.rememberedBatches * batchByteCount)
    }

    /// How many bytes a producer takes.
    static func byteCount(of producer: ProducerState) -> Int {
        producerByteCount + producer.batches.count * batchByteCount
    }

    /// Whether the bounds of the format allow to write it.
    var canBeEncoded: Bool {
        states.count <= ProducerStates.maximumProducers && aborted.count <= Self.maximumAborted
    }

    /// The bytes of a snapshot file. The same state gives the same bytes. O(n log n) for n
    /// producers.
    func encode(logID: UInt64) -> MemoryBlock {
        precondition(canBeEncoded)
        let producers = states.producers.sorted { $0.key < $1.key }
        let producerBytes = producers.reduce(0) { $0 + Self.byteCount(of: $1.value) }
        var writer = ByteWriter(
            count: Self.headerByteCount + producerBytes
                + aborted.count * AbortedTransaction.byteCount)
        writer.littleEndian(Self.magic)
        writer.littleEndian(Self.version)
        writer.littleEndian(UInt32(0))  // checksum: below
        writer.littleEndian(logID)
        writer.littleEndian(offset)
        writer.littleEndian(segmentBase)
        writer.littleEndian(UInt32(producers.count))
        writer.littleEndian(UInt32(aborted.count))
        writer.zeros(Self.headerByteCount - writer.position)
        for (id, producer) in producers { Self.write(id, producer, to: &writer) }
        for transaction in aborted { transaction.encode(to: &writer) }
        let block = writer.finish()
        block.unsafeMutableBytes.storeBytes(
            of: crc32c(block.unsafeBytes).littleEndian, toByteOffset: Self.checksumPosition,
            as: UInt32.self)
        return block
    }

    private static func write(_ id: Int64, _ producer: ProducerState, to writer: inout ByteWriter) {
        writer.littleEndian(id)
        writer.littleEndian(producer.epoch)
        writer.littleEndian(UInt8(producer.batches.count))
        writer.littleEndian(UInt8(producer.transactionStart == nil ? 0 : 1))
        writer.littleEndian(producer.coordinatorEpoch)
        writer.littleEndian(producer.lastActivity)
        writer.littleEndian(producer.transactionStart ?? 0)
        for batch in producer.batches {
            writer.littleEndian(batch.firstSequence)
            writer.littleEndian(batch.lastSequence)
            writer.littleEndian(batch.firstOffset)
            writer.littleEndian(batch.lastOffset)
            writer.littleEndian(batch.maxTimestamp)
        }
    }

    /// Reads a snapshot of the log `logID` at `expectedOffset`. Nil when the bytes are not a whole
    /// and consistent one; nothing is allocated beyond what they hold.
    init?(_ bytes: UnsafeRawBufferPointer, logID: UInt64, expectedOffset: Int64) {
        var reader = ByteReader(bytes)
        guard bytes.count <= Self.maximumByteCount,
            reader.littleEndian(UInt64.self) == Self.magic,
            reader.littleEndian(UInt32.self) == Self.version,
            let checksum = reader.littleEndian(UInt32.self),
            reader.littleEndian(UInt64.self) == logID,
            reader.littleEndian(Int64.self) == expectedOffset, expectedOffset >= 0,
            expectedOffset <= SegmentHeader.maximumOffset,
            let segmentBase = reader.littleEndian(Int64.self), segmentBase >= 0,
            segmentBase <= expectedOffset,
            let producers = reader.littleEndian(UInt32.self),
            let aborted = reader.littleEndian(UInt32.self),
            producers <= ProducerStates.maximumProducers, aborted <= Self.maximumAborted,
            checksum == IndexPage.checksum(of: bytes, at: Self.checksumPosition),
            reader.skip(Self.headerByteCount - reader.position) != nil
        else { return nil }
        self.init(at: expectedOffset, segmentBase: segmentBase)
        var previous: Int64 = -1
        for _ in 0..<producers {
            guard let (id, producer) = Self.readProducer(&reader, before: expectedOffset),
                id > previous, states.restore(id, producer)
            else { return nil }
            previous = id
        }
        guard states.finishRestoring() else { return nil }
        for _ in 0..<aborted {
            guard let transaction = AbortedTransaction(&reader),
                transaction.isPlausible(behind: self.aborted.last, in: segmentBase..<expectedOffset)
            else { return nil }
            self.aborted.append(transaction)
        }
        guard reader.remaining == 0 else { return nil }
    }

    private static func readProducer(
        _ reader: inout ByteReader, before end: Int64
    ) -> (Int64, ProducerState)? {
        guard let id = reader.littleEndian(Int64.self), id >= 0,
            let epoch = reader.littleEndian(Int16.self), epoch >= 0,
            let batches = reader.littleEndian(UInt8.self),
            batches <= ProducerState.rememberedBatches,
            let flag = reader.littleEndian(UInt8.self), flag <= 1,
            let coordinatorEpoch = reader.littleEndian(Int32.self), coordinatorEpoch >= -1,
            let lastActivity = reader.littleEndian(Int64.self),
            let start = reader.littleEndian(Int64.self), start >= 0,
            flag == 1 ? start < end : start == 0
        else { return nil }
        var producer = ProducerState(epoch: epoch)
        producer.coordinatorEpoch = coordinatorEpoch
        producer.lastActivity = lastActivity
        producer.transactionStart = flag == 1 ? start : nil
        for _ in 0..<batches {
            guard let batch = readBatch(&reader, behind: producer.batches.last),
                batch.lastOffset < end
            else { return nil }
            producer.batches.append(batch)
        }
        return (id, producer)
    }

    private static func readBatch(
        _ reader: inout ByteReader, behind previous: ProducerState.Batch?
    ) -> ProducerState.Batch? {
        guard let firstSequence = reader.littleEndian(Int32.self), firstSequence >= 0,
            let lastSequence = reader.littleEndian(Int32.self), lastSequence >= 0,
            let firstOffset = reader.littleEndian(Int64.self), firstOffset >= 0,
            let lastOffset = reader.littleEndian(Int64.self), lastOffset >= firstOffset,
            lastOffset - firstOffset <= Int64(Int32.max),
            let maxTimestamp = reader.littleEndian(Int64.self),
            lastSequence
                == ProducerSequence.advance(firstSequence, by: Int(lastOffset - firstOffset))
        else { return nil }
        if let previous {
            guard firstOffset > previous.lastOffset,
                firstSequence == ProducerSequence.advance(previous.lastSequence, by: 1)
            else { return nil }
        }
        return ProducerState.Batch(
            firstSequence: firstSequence, lastSequence: lastSequence, firstOffset: firstOffset,
            lastOffset: lastOffset, maxTimestamp: maxTimestamp)
    }
}
