import CordwoodStorage

extension LogInspector {
    /// How much of a segment is read at a time, unless a batch is larger.
    private static var windowBytes: Int { 4 << 20 }

    /// Inspects a segment that the manifest names.
    mutating func inspect(_ segment: Listed, logID: UInt64?) async throws {
        let path = SegmentFiles.log(segment.id, in: directory)
        countSegment()
        let file: S.File
        do throws(StorageError) { file = try await storage.open(path, .read) } catch {
            guard error.code == .notFound || error.code == .wrongKind else {
                throw LogError(error, while: "opening \(path)")
            }
            return try damage(
                path, at: nil, offsets: segment.seal?.offsets ?? 0..<0,
                "the manifest names this segment: \(error)")
        }
        do {
            try await inspect(file, segment, logID: logID)
            await file.close()
        } catch {
            await file.close()
            throw error
        }
    }

    /// Inspects a segment file that no manifest vouches for, by what it says of itself.
    mutating func inspectUnlisted(_ id: SegmentID, logID: UInt64?) async throws {
        let path = SegmentFiles.log(id, in: directory)
        if logID != nil, try await ActiveSegment.isUnused(path, on: storage) {
            return try note(path, "not in the manifest, and without a batch: a roll left it")
        }
        try damage(path, at: nil, "expected the manifest to name this segment")
        try await inspect(Listed(id: id), logID: logID)
    }

    private mutating func inspect(
        _ file: S.File, _ segment: Listed, logID: UInt64?
    ) async throws {
        let size = try await size(of: file)
        let page = try await window(of: file, at: 0, count: SegmentHeader.byteCount)
        let own = SegmentHeader.identity(page.unsafeBytes)
        let header = SegmentHeader(
            logID: logID ?? own?.logID ?? 0, baseOffset: segment.id.baseOffset,
            generation: segment.id.generation)
        try show(
            .init(
                .segment, file.path, at: 0,
                [
                    "state": segment.seal == nil ? "active" : "sealed",
                    "baseOffset": .integer(segment.id.baseOffset),
                    "generation": .integer(Int64(segment.id.generation)), "bytes": .count(size),
                    "version": own.map { .integer(Int64($0.version)) } ?? "unknown",
                    "logID": own.map { .text(hexadecimal($0.logID)) } ?? "unknown",
                ]))
        do throws(LogError) {
            try SegmentHeader.check(page.unsafeBytes, expected: header, path: file.path)
        } catch {
            try damage(file.path, at: 0, error.message)
            // Nothing in a foreign file, or one of another version, means what it would mean here.
            if error.code != .damaged { return }
        }
        let watermark = try showWatermarks(page, header, file.path, isSealed: segment.seal != nil)
        try showSeal(page, header, segment, file.path)
        if let end = segment.seal?.end, size > end.position {
            try note(
                file.path, at: end.position,
                "\(size - end.position) bytes behind the seal, which nobody reads")
        }
        let index = try await inspectIndex(header, segment.seal?.end, watermark)
        let rules = BatchRules(
            offsets: segment.seal?.isCompacted == true ? .increasing : .consecutive,
            epochs: segment.epochs)
        let walk = SegmentInspector(
            header: header, extent: segment.seal.map { .sealed($0.end) } ?? .active(watermark),
            gaps: segment.gaps, index: index, rules: rules, fileByteCount: size)
        try await inspect(file, walk)
    }

    /// Shows the segment's own seal. The manifest decides where a segment ends; its slot is missing
    /// in segments that recovery sealed, and differs where the log was truncated since.
    private func showSeal(
        _ page: MemoryBlock, _ header: SegmentHeader, _ segment: Listed, _ path: StoragePath
    ) throws {
        let slot = SealSlot.decode(page.unsafeBytes, header: header)
        if let slot {
            var item = InspectionItem(.seal, path, at: SealSlot.position)
            item.fields = slot.fields
            try show(item)
        }
        guard let seal = segment.seal else { return }
        var bare = seal
        bare.gaps = []
        if slot != bare {
            try note(
                path, at: SealSlot.position,
                slot == nil
                    ? "no sound seal slot; the manifest seals the segment at byte "
                        + "\(seal.end.position), offset \(seal.end.nextOffset)"
                    : "the manifest decides: it ends at byte \(seal.end.position), offset "
                        + "\(seal.end.nextOffset)")
        }
    }

    /// Shows the slots and returns the newest sound watermark.
    private mutating func showWatermarks(
        _ page: MemoryBlock, _ header: SegmentHeader, _ path: StoragePath, isSealed: Bool
    ) throws -> Watermark? {
        for (position, slot) in Watermark.slots(in: page.unsafeBytes, header: header) {
            switch slot {
            case .unwritten: try note(path, at: position, "a watermark slot never written to")
            case .damaged:
                // The slot that was being written when the power went is not an error.
                try note(path, at: position, "a watermark slot that fails its checksum")
            case .sound(let watermark):
                try show(
                    .init(
                        .watermark, path, at: position,
                        [
                            "sequence": .text("\(watermark.sequence)"),
                            "durable": .count(watermark.durable.position),
                            "nextOffset": .integer(watermark.durable.nextOffset),
                            "chain": .hexadecimal(watermark.durable.chain.value),
                            "groupEnd": .count(watermark.groupEnd),
                            "groupWasSynced": .boolean(watermark.groupWasSynced),
                        ]))
            }
        }
        let newest = Watermark.newest(in: page.unsafeBytes, header: header)
        if newest == nil, !isSealed {
            try damage(path, at: Watermark.slotPositions[0], "no sound watermark in the segment")
        }
        return newest
    }

    // MARK: Batches

    private mutating func inspect(_ file: S.File, _ start: SegmentInspector) async throws {
        var walk = start
        var block = MemoryBlock(count: 0)
        var origin = 0
        // A place that did not hold is read once more: a writer may have been at it.
        var rereadAt = -1
        while true {
            if walk.readPosition < origin || walk.readPosition > origin + block.count {
                (block, origin) = (MemoryBlock(count: 0), walk.readPosition)
            }
            let before = walk
            let step = withExtendedLifetime(block) {
                walk.next(
                    in: UnsafeRawBufferPointer(
                        rebasing: block.unsafeBytes[(walk.readPosition - origin)...]))
            }
            switch step {
            case .needs(let count):
                try Task.checkCancellation()
                let position = walk.readPosition
                block = try await window(
                    of: file, at: position, count: max(count, Self.windowBytes))
                origin = position
                if block.count < count {
                    return try note(file.path, at: position, "the file was cut while it was read")
                }
            case .batch(let header, let place):
                count(header)
                guard options.showsBatches else { continue }
                let start = place.position - origin
                try show(
                    RecordBatch(
                        verified: header,
                        MemorySlice(block, start..<start + header.totalByteCount)), header,
                    at: place, chain: walk.cursor.chain, file.path)
            case .damage(let found):
                if !found.isQuarantined, before.readPosition != rereadAt {
                    rereadAt = before.readPosition
                    walk = before
                    (block, origin) = (MemoryBlock(count: 0), walk.readPosition)
                    continue
                }
                try damage(
                    file.path, at: found.positions.lowerBound, offsets: found.offsets,
                    found.problem)
            case .end(let torn):
                if torn > 0 {
                    try note(
                        file.path, at: walk.cursor.position,
                        "\(torn) bytes of a write that was never acknowledged; opening cuts them")
                }
                return
            }
        }
    }

    private mutating func show(
        _ batch: RecordBatch, _ header: BatchHeader, at place: SegmentCursor, chain: BatchChain,
        _ path: StoragePath
    ) throws {
        try emit(InspectionItem(header, at: place.position, chain: chain, path))
        guard options.showsRecords else { return }
        do {
            var records = try RecordReader(batch)
            while let record = try records.next() { try emitRecord(record, path) }
        } catch let error as LogError {
            if error.code == .unsupportedCodec {
                return try note(path, at: place.position, error.message)
            }
            try damage(
                path, at: place.position, offsets: batch.baseOffset..<batch.lastOffset + 1,
                error.message)
        }
    }
}
