import CordwoodStorage

extension LogInspector {
    /// Inspects a segment that the manifest names.
    mutating func inspect(_ segment: Listed) async throws {
        let path = SegmentFiles.log(segment.id, in: directory)
        countSegment()
        let file: S.File
        do throws(StorageError) { file = try await storage.open(path, .read) } catch {
            guard error.code == .notFound || error.code == .wrongKind else {
                throw LogError(error, while: "opening \(path)")
            }
            return try await missing(
                path, of: segment.id, offsets: segment.seal?.offsets ?? 0..<0,
                "the manifest names this segment: \(error)")
        }
        do {
            try await inspect(file, segment)
            await file.close()
        } catch {
            await file.close()
            throw error
        }
    }

    /// Inspects a segment file that no manifest vouches for, by what it says of itself.
    mutating func inspectUnlisted(_ id: SegmentID) async throws {
        let path = SegmentFiles.log(id, in: directory)
        if logID != nil, try await ActiveSegment.isUnused(path, on: storage) {
            return try note(path, "not in the manifest, and without a batch: a roll left it")
        }
        try damage(path, at: nil, "expected the manifest to name this segment")
        try await inspect(Listed(id: id))
    }

    private mutating func inspect(_ file: S.File, _ segment: Listed) async throws {
        let size = try await size(of: file)
        let page = try await window(of: file, at: 0, count: SegmentHeader.byteCount)
        let own = SegmentHeader.identity(page.unsafeBytes)
        logID = logID ?? own?.logID
        let header = SegmentHeader(
            logID: logID ?? 0, baseOffset: segment.id.baseOffset,
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
        var facts = SegmentFacts(header: header, seal: segment.seal)
        facts.watermark = try showWatermarks(
            page, header, file.path, isSealed: segment.seal != nil)
        facts.isAsSealed = try showSeal(page, header, segment, file.path)
        if let end = facts.end, size > end.position {
            try note(
                file.path, at: end.position,
                "\(size - end.position) bytes behind the seal, which nobody reads")
        }
        try await inspectBatches(in: file, of: facts, segment, byteCount: size)
    }

    /// Looks at what lies beside a segment and holds it against the batches.
    private mutating func inspectBatches(
        in file: S.File, of facts: SegmentFacts, _ segment: Listed, byteCount: Int
    ) async throws {
        var index = try await inspectIndex(OffsetIndex.self, of: facts)
        index.removeAll(behind: facts.trusted.position)
        let times = try await inspectIndex(TimeIndex.self, of: facts)
        var views = SegmentViews(
            times: TimeIndexCheck(
                times, upTo: facts.end.map { $0.nextOffset - 1 } ?? facts.trusted.nextOffset),
            transactions: try await inspectTransactionIndex(of: facts)
                .map(TransactionIndexCheck.init),
            snapshots: snapshots(inside: facts))
        try await beginProducers(facts, isExpected: rolledTo == segment.id.baseOffset)
        let rules = BatchRules(
            offsets: segment.seal?.isCompacted == true ? .increasing : .consecutive,
            epochs: segment.epochs)
        let extent: SegmentInspector.Extent =
            facts.end.map { .sealed($0) } ?? .active(facts.watermark)
        try await walk(
            file,
            SegmentInspector(
                header: facts.header, extent: extent, gaps: segment.gaps, index: index,
                rules: rules, fileByteCount: byteCount), facts, &views)
        rolledTo = nil
        if let end = facts.end, facts.isAsSealed, !(facts.seal?.isCompacted ?? false),
            end.nextOffset > producersSince ?? .max
        {
            rolledTo = end.nextOffset
        }
    }

    /// Shows the segment's own seal; true where it says what the manifest says. That one decides
    /// where a segment ends; the slot is missing in segments that recovery sealed, and differs where
    /// the log was truncated since.
    private func showSeal(
        _ page: MemoryBlock, _ header: SegmentHeader, _ segment: Listed, _ path: StoragePath
    ) throws -> Bool {
        let slot = SealSlot.decode(page.unsafeBytes, header: header)
        if let slot {
            var item = InspectionItem(.seal, path, at: SealSlot.position)
            item.fields = slot.fields
            try show(item)
        }
        guard let seal = segment.seal else { return false }
        var bare = seal
        bare.gaps = []
        if slot == bare { return true }
        try note(
            path, at: SealSlot.position,
            slot == nil
                ? "no sound seal slot; the manifest seals the segment at byte "
                    + "\(seal.end.position), offset \(seal.end.nextOffset)"
                : "the manifest decides: it ends at byte \(seal.end.position), offset "
                    + "\(seal.end.nextOffset)")
        return false
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
}
