import CordwoodStorage

extension LogInspector {
    /// How much of a segment is read at a time, unless a batch is larger.
    private static var windowBytes: Int { 4 << 20 }

    /// Walks a segment's batches, and holds what lies beside it against them.
    mutating func walk(
        _ file: S.File, _ start: SegmentInspector, _ segment: SegmentFacts,
        _ views: inout SegmentViews
    ) async throws {
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
                try await arrive(at: place.nextOffset, &views, segment)
                let start = place.position - origin
                let batch = RecordBatch(
                    verified: header, MemorySlice(block, start..<start + header.totalByteCount))
                try take(batch, header, at: place, chain: walk.cursor.chain, file.path)
                try pass(batch, header, at: place, file.path, &views, segment)
            case .damage(let found):
                if !found.isQuarantined, before.readPosition != rereadAt {
                    rereadAt = before.readPosition
                    walk = before
                    (block, origin) = (MemoryBlock(count: 0), walk.readPosition)
                    continue
                }
                views.stop()
                producers?.lose()
                try damage(
                    file.path, at: found.positions.lowerBound, offsets: found.offsets,
                    found.problem)
            case .end(let torn):
                if torn > 0 {
                    try note(
                        file.path, at: walk.cursor.position,
                        "\(torn) bytes of a write that was never acknowledged; opening cuts them")
                }
                return try await finish(at: walk.cursor.nextOffset, &views, segment)
            }
        }
    }

    // MARK: A batch

    /// Counts and shows a batch.
    private mutating func take(
        _ batch: RecordBatch, _ header: BatchHeader, at place: SegmentCursor, chain: BatchChain,
        _ path: StoragePath
    ) throws {
        count(header)
        guard options.showsBatches else { return }
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

    /// Comes to a place between two batches.
    private mutating func arrive(
        at offset: Int64, _ views: inout SegmentViews, _ segment: SegmentFacts
    ) async throws {
        if let problem = views.times.arrive(at: offset) {
            try damage(SegmentFiles.timeIndex(segment.id, in: directory), at: nil, problem)
        }
        if let next = views.snapshots.first, next <= offset {
            try await passSnapshots(upTo: offset, &views, of: segment)
        }
    }

    /// Goes over a batch.
    private mutating func pass(
        _ batch: RecordBatch, _ header: BatchHeader, at place: SegmentCursor,
        _ path: StoragePath, _ views: inout SegmentViews, _ segment: SegmentFacts
    ) throws {
        views.times.absorb(header)
        if header.producerID < 0 {
            producers?.pass(to: header.nextOffset)
        } else {
            try absorb(batch, header, at: place.position, &views, path, segment)
        }
    }

    /// Comes to the segment's end.
    private mutating func finish(
        at offset: Int64, _ views: inout SegmentViews, _ segment: SegmentFacts
    ) async throws {
        try await arrive(at: offset, &views, segment)
        try finishTransactions(&views, segment)
        try finishSnapshots(&views, of: segment)
    }
}
