import CordwoodStorage

/// Takes records out of a batch and keeps all else as it was: offsets, epoch, producer, sequence
/// and the timestamps of the records that stay.
///
/// Pure. A batch whose records all stay is to be copied as it is. One that loses some is written
/// anew with the surviving records' own bytes, the same base offset and last offset (so the offsets
/// have holes), and a new maximum timestamp and CRC. Keeps room for the ranges of the survivors, so
/// a record costs no allocation.
struct BatchFilter: Sendable {
    enum Outcome {
        /// All records stay: the batch can be copied byte for byte.
        case unchanged
        case dropped
        case rewritten(MemoryBlock)
        /// The records cannot be read (a codec that is not known, an inside that does not parse):
        /// the batch must be kept as it is.
        case opaque
    }

    /// What to do besides asking for each record.
    struct Options {
        /// Whether the batch stays, with no records, when none survives.
        var keepsEmpty = false
        /// The delete horizon to stamp into the batch when a tombstone survives and it has none:
        /// the time from which its tombstones may go. See ``BatchHeader/deleteHorizon``.
        var horizon: Int64?
        /// Stamps the horizon even without a tombstone: for a transaction's marker.
        var alwaysStamps = false
    }

    /// The survivors, as runs of records that lie side by side.
    private var runs: [Range<Int>] = []

    /// Filters one batch whose CRC has been verified. `survives` is called once for each record,
    /// in order, with the record's places in the bytes beside it; `look` before that with all of
    /// the bytes. O(bytes).
    mutating func filter(
        _ batch: UnsafeRawBufferPointer, _ header: BatchHeader, _ options: Options,
        look: (UnsafeRawBufferPointer) -> Void = { _ in },
        survives: (RecordFields, UnsafeRawBufferPointer) -> Bool
    ) -> Outcome {
        guard header.recordCount > 0 else { return options.keepsEmpty ? .unchanged : .dropped }
        guard let records = BatchRecords(batch, header) else { return .opaque }
        return records.withBytes { bytes in
            look(bytes)
            guard let survey = survey(bytes, header, survives) else { return .opaque }
            guard survey.count > 0 else {
                return options.keepsEmpty ? .rewritten(Self.empty(batch, header)) : .dropped
            }
            let wantsStamp = options.alwaysStamps || survey.hasTombstone
            if wantsStamp, header.deleteHorizon == nil, let horizon = options.horizon,
                let stamped = stamp(bytes, survey, header, horizon),
                let block = Self.assemble(
                    batch, header, survey, records: stamped, packing: records,
                    horizon: horizon)
            {
                return .rewritten(block)
            }
            if survey.count == Int(header.recordCount) { return .unchanged }
            let kept = gather(bytes)
            guard
                let block = Self.assemble(
                    batch, header, survey, records: kept, packing: records, horizon: nil)
            else { return .opaque }
            return .rewritten(block)
        }
    }

    private struct Survey {
        var count = 0
        var hasTombstone = false
        var maxTimestamp = Int64.min
    }

    /// Finds the survivors; nil where the records do not parse.
    private mutating func survey(
        _ bytes: UnsafeRawBufferPointer, _ header: BatchHeader,
        _ survives: (RecordFields, UnsafeRawBufferPointer) -> Bool
    ) -> Survey? {
        runs.removeAll(keepingCapacity: true)
        var survey = Survey()
        var scanner = RecordScanner(bytes)
        for _ in 0..<header.recordCount {
            guard let record = scanner.next(), record.offsetDelta <= header.lastOffsetDelta,
                case (let timestamp, false) = header.baseTimestamp.addingReportingOverflow(
                    record.timestampDelta)
            else { return nil }
            guard survives(record, bytes) else { continue }
            survey.count += 1
            survey.hasTombstone = survey.hasTombstone || !record.hasValue
            survey.maxTimestamp = max(survey.maxTimestamp, timestamp)
            if let last = runs.last, last.upperBound == record.range.lowerBound {
                runs[runs.count - 1] = last.lowerBound..<record.range.upperBound
            } else {
                runs.append(record.range)
            }
        }
        return scanner.remaining == 0 ? survey : nil
    }

    /// The survivors side by side, unchanged.
    private func gather(_ bytes: UnsafeRawBufferPointer) -> MemoryBlock {
        var writer = ByteWriter(count: runs.reduce(0) { $0 + $1.count })
        for run in runs { writer.bytes(UnsafeRawBufferPointer(rebasing: bytes[run])) }
        return writer.finish()
    }

    /// The survivors with timestamps relative to the horizon; nil where a timestamp is too far from
    /// it to be written so.
    private func stamp(
        _ bytes: UnsafeRawBufferPointer, _ survey: Survey, _ header: BatchHeader, _ horizon: Int64
    ) -> MemoryBlock? {
        var records: [(delta: Int64, rest: Range<Int>)] = []
        records.reserveCapacity(survey.count)
        var byteCount = 0
        for run in runs {
            var scanner = RecordScanner(UnsafeRawBufferPointer(rebasing: bytes[run]))
            while let record = scanner.next() {
                let (time, isBeyond) = header.baseTimestamp.addingReportingOverflow(
                    record.timestampDelta)
                let (delta, overflow) = time.subtractingReportingOverflow(horizon)
                if isBeyond || overflow { return nil }
                let rest =
                    record.rest.lowerBound + run.lowerBound..<record.rest.upperBound
                    + run.lowerBound
                let body = 1 + ByteWriter.varintCount(delta) + rest.count
                byteCount += ByteWriter.varintCount(Int64(body)) + body
                records.append((delta, rest))
            }
        }
        var writer = ByteWriter(count: byteCount)
        for (delta, rest) in records {
            writer.varint(Int64(1 + ByteWriter.varintCount(delta) + rest.count))
            writer.bigEndian(Int8(0))
            writer.varint(delta)
            writer.bytes(UnsafeRawBufferPointer(rebasing: bytes[rest]))
        }
        return writer.finish()
    }

    /// A batch of the survivors; nil where they would not fit one, which only a horizon or a codec
    /// that packs worse than the producer's can cause.
    private static func assemble(
        _ batch: UnsafeRawBufferPointer, _ header: BatchHeader, _ survey: Survey,
        records: MemoryBlock, packing codec: BatchRecords, horizon: Int64?
    ) -> MemoryBlock? {
        let packed = codec.encode(records)
        let byteCount = BatchHeader.byteCount + packed.count
        guard byteCount <= BatchHeader.maximumByteCount else { return nil }
        var header = header
        header.batchLength = Int32(byteCount - BatchHeader.lengthPrefixBytes)
        header.recordCount = Int32(survey.count)
        // A batch that the log stamped has one time for all its records.
        if !header.isLogAppendTime { header.maxTimestamp = survey.maxTimestamp }
        if let horizon {
            header.attributes |= BatchHeader.deleteHorizonFlag
            header.baseTimestamp = horizon
        }
        return write(header, packed)
    }

    /// A batch without records that keeps its place, its producer and its sequence.
    private static func empty(
        _ batch: UnsafeRawBufferPointer, _ header: BatchHeader
    ) -> MemoryBlock {
        var header = header
        header.batchLength = Int32(BatchHeader.byteCount - BatchHeader.lengthPrefixBytes)
        header.recordCount = 0
        header.attributes &= ~(BatchHeader.codecMask | BatchHeader.deleteHorizonFlag)
        header.baseTimestamp = -1
        return write(header, MemoryBlock(count: 0))
    }

    private static func write(_ header: BatchHeader, _ records: MemoryBlock) -> MemoryBlock {
        var writer = ByteWriter(count: BatchHeader.byteCount + records.count)
        header.write(to: &writer)
        withExtendedLifetime(records) { writer.bytes(records.unsafeBytes) }
        let block = writer.finish()
        let checksum = crc32c(
            UnsafeRawBufferPointer(rebasing: block.unsafeBytes[BatchHeader.checksummedFrom...]))
        block.unsafeMutableBytes.storeBytes(
            of: checksum.bigEndian, toByteOffset: BatchHeader.checksumPosition, as: UInt32.self)
        return block
    }
}
