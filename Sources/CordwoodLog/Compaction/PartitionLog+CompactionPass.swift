import CordwoodStorage

/// The two halves of a pass, with their reading and writing.
extension PartitionLog {
    /// A pass on its way.
    private struct Progress {
        let plan: CompactionPlan
        let options: CompactionOptions
        let now: Int64
        let start = ContinuousClock.now
        var throttle: ByteThrottle
        var report = CompactionReport()
    }

    func pass(
        _ plan: CompactionPlan, now: Int64, _ options: CompactionOptions
    ) async throws(LogError) -> CompactionReport {
        var progress = Progress(
            plan: plan, options: options, now: now,
            throttle: ByteThrottle(bytesPerSecond: options.maximumBytesPerSecond))
        let (segments, truncations) = state.read {
            (Array($0.sealed.prefix(plan.segmentCount)), $0.truncations.count)
        }
        let context = compactionContext()
        let mapping = try await map(segments, context, &progress)
        progress.report.keys = mapping.map.count
        progress.report.isPartial = mapping.isCut
        var pass = CompactionPass(
            mapping, now: now,
            deleteRetentionMilliseconds: configuration.deleteRetentionMilliseconds,
            aborted: context.aborted, producers: context.producers)
        var rest = segments.prefix { $0.baseOffset < mapping.end }[...]
        while let first = rest.first {
            if isPassedOver(first) {
                pass.passOver()
                progress.report.passedOverSegments += 1
                rest.removeFirst()
                continue
            }
            let readable = rest.prefix { !isPassedOver($0) }
            let count = CompactionPlan.groupCount(
                readable.map(\.info), segmentBytes: configuration.segmentBytes)
            let group = Array(rest.prefix(count))
            // A copy, to begin again with where the group turns out to be damaged.
            var attempt = pass
            guard let infos = try await rewrite(group, &attempt, &progress) else { continue }
            guard try await replace(group, with: infos) else { throw changed() }
            pass = attempt
            progress.report.replacedSegments += group.count
            progress.report.writtenSegments += infos.count
            rest.removeFirst(count)
        }
        var isCurrent = false
        try await changingStructure("compacting") { () async throws(StorageError) in
            // What a truncation cut away may have been appended anew.
            isCurrent = state.read { $0.truncations.count } == truncations
            guard isCurrent else { return }
            try await manifest.commit([
                .replace(removing: [], with: [], cleanedUpTo: mapping.end)
            ])
        }
        guard isCurrent else { throw changed() }
        progress.report.cleanedUpTo = mapping.end
        return progress.report
    }

    /// What the producers' state says about what may go.
    private func compactionContext() -> (
        aborted: [AbortedRange], producers: [Int64: ProducerLastBatch]
    ) {
        ([], [:])
    }

    private func isPassedOver(_ segment: SealedSegment<S>) -> Bool {
        !segment.info.gaps.isEmpty || compaction.passedOver.contains(segment.info.id)
    }

    // MARK: Reading

    /// A segment that is being read from its front, in steps.
    private struct Source: Sendable {
        let block: MemoryBlock
        let info: SegmentInfo
        let rules: BatchRules
        var cursor: SegmentCursor

        var isAtEnd: Bool { cursor.position >= info.end.position }

        /// The next batch, verified; at the end the chain must be the one that was sealed.
        mutating func next() throws(BatchProblem) -> (MemorySlice, BatchHeader) {
            let position = cursor.position
            let rest = UnsafeRawBufferPointer(
                rebasing: block.unsafeBytes[position..<info.end.position])
            let header = try cursor.next(in: rest, rules: rules)
            if isAtEnd, cursor != info.end {
                throw .badChain(expected: info.end.chain.value, found: cursor.chain.value)
            }
            return (MemorySlice(block, position..<position + header.totalByteCount), header)
        }
    }

    private func source(_ segment: SealedSegment<S>) async throws(LogError) -> Source {
        Source(
            block: try await segment.map(), info: segment.info, rules: segment.rules,
            cursor: .start(logID: manifest.logID, baseOffset: segment.baseOffset))
    }

    /// Between two steps: others get their turn, and a pass that is no longer wanted ends.
    private func pause(after byteCount: Int, _ progress: inout Progress) async throws(LogError) {
        try checkAppendable()
        let elapsed = (ContinuousClock.now - progress.start) / Duration.seconds(1)
        var delay = progress.throttle.delay(after: byteCount, elapsed: elapsed)
        while true {
            if Task.isCancelled {
                throw LogError(.cancelled, "the compaction of \(directory) was cancelled")
            }
            guard delay > 0 else { return }
            // In slices, so that closing the log does not wait for long.
            let slice = min(delay, 0.05)
            delay -= slice
            try? await Task.sleep(for: .seconds(slice))
            try checkAppendable()
        }
    }

    /// Leaves a damaged segment as it is from now on. One that is no longer part of the log is none.
    private func passOver(
        _ segment: SealedSegment<S>, because problem: LogError
    ) throws(LogError) {
        guard problem.code == .damaged || problem.code == .inconsistent else { throw problem }
        guard manifest.manifest.sealed.contains(where: { $0.id == segment.info.id }) else {
            throw changed()
        }
        compaction.passedOver.insert(segment.info.id)
    }

    private func changed() -> LogError {
        LogError(.cancelled, "the segments of \(directory) changed while they were compacted")
    }

    private func damaged(_ source: Source, _ problem: BatchProblem) -> LogError {
        LogError(
            .damaged, "segment \(source.info.id) at byte \(source.cursor.position): \(problem)")
    }

    // MARK: Mapping

    /// Notes the last offset of each key in what has not been compacted.
    private func map(
        _ segments: [SealedSegment<S>],
        _ context: (aborted: [AbortedRange], producers: [Int64: ProducerLastBatch]),
        _ progress: inout Progress
    ) async throws(LogError) -> CompactionMapping {
        let start = progress.plan.firstDirtyOffset
        let dirty = segments.filter { $0.end.nextOffset > start }
        let span = (dirty.last?.end.nextOffset ?? start) - start
        let mapBytes = progress.options.mapBytes
        var mapping = await storage.offload {
            var random = SystemRandomNumberGenerator()
            let map = CompactionMap(
                byteBudget: mapBytes, expectedKeys: Int(span), hash: KeyHash(using: &random))
            return CompactionMapping(map, from: start, aborted: context.aborted)
        }
        for segment in dirty where !mapping.isCut {
            if !isPassedOver(segment) {
                do throws(LogError) {
                    try await map(segment, &mapping, &progress)
                } catch { try passOver(segment, because: error) }
            }
            if isPassedOver(segment) { mapping.passOver(to: segment.end.nextOffset) }
        }
        return mapping
    }

    private func map(
        _ segment: SealedSegment<S>, _ mapping: inout CompactionMapping, _ progress: inout Progress
    ) async throws(LogError) {
        var source = try await source(segment)
        while !source.isAtEnd, !mapping.isCut {
            let before = source.cursor.position
            let limit = before + progress.options.stepBytes
            let step: (Source, CompactionMapping, BatchProblem?) = await storage.offload {
                [source, mapping] in
                var (source, mapping) = (source, mapping)
                do throws(BatchProblem) {
                    while !source.isAtEnd, source.cursor.position < limit {
                        let (batch, header) = try source.next()
                        guard mapping.note(batch.unsafeBytes, header) else { break }
                    }
                } catch { return (source, mapping, error) }
                return (source, mapping, nil)
            }
            (source, mapping) = (step.0, step.1)
            if let problem = step.2 { throw damaged(source, problem) }
            progress.report.readBytes += source.cursor.position - before
            try await pause(after: source.cursor.position - before, &progress)
        }
    }

    // MARK: Rewriting

    /// Writes what stays of a group into new segments, durable but not yet part of the log; nil
    /// when a segment of the group turned out to be damaged, which is noted.
    private func rewrite(
        _ group: [SealedSegment<S>], _ pass: inout CompactionPass, _ progress: inout Progress
    ) async throws(LogError) -> [SegmentInfo]? {
        var output = Output()
        do throws(LogError) {
            try await output.begin(at: group[0].baseOffset, for: group, in: self)
            for segment in group {
                do throws(LogError) {
                    let source = try await source(segment)
                    try await rewrite(source, group, &pass, &output, &progress)
                } catch {
                    try passOver(segment, because: error)
                    await discard(output)
                    return nil
                }
            }
            try await output.finish(group)
            return output.infos
        } catch {
            await discard(output)
            throw error
        }
    }

    /// The segments that a group turns into.
    private struct Output {
        var current: CompactedSegment<S>?
        var infos: [SegmentInfo] = []
        var ids: [SegmentID] = []

        mutating func begin(
            at baseOffset: Int64, for group: [SealedSegment<S>],
            in log: isolated PartitionLog<S>
        ) async throws(LogError) {
            let id = try await log.stage(at: baseOffset, for: group)
            ids.append(id)
            let header = SegmentHeader(
                logID: log.manifest.logID, baseOffset: id.baseOffset, generation: id.generation)
            do throws(StorageError) {
                current = try await CompactedSegment.create(
                    header, in: log.directory, on: log.storage, configuration: log.configuration)
            } catch { throw LogError(error, while: "creating a compacted segment") }
        }

        mutating func finish(_ group: [SealedSegment<S>]) async throws(LogError) {
            let time = group.map(\.info.times.lastAppendTime).max() ?? 0
            if let info = try await current?.finish(lastAppendTime: time) { infos.append(info) }
            current = nil
        }
    }

    private func rewrite(
        _ start: Source, _ group: [SealedSegment<S>], _ pass: inout CompactionPass,
        _ output: inout Output, _ progress: inout Progress
    ) async throws(LogError) {
        var source = start
        // The bytes of one more batch must fit, whatever it grows by.
        let room = min(
            configuration.segmentBytes,
            SegmentHeader.maximumSegmentBytes - BatchHeader.maximumByteCount)
        let groupEnd = group[group.count - 1].end.nextOffset
        while !source.isAtEnd {
            guard let segment = output.current else { return }
            let before = source.cursor.position
            let written = segment.builder.end.position
            let limit = before + progress.options.stepBytes
            let step: Step = await storage.offload { [source, pass, builder = segment.builder] in
                var step = Step(source: source, pass: pass, builder: builder)
                step.run(upTo: limit, room: room, groupEnd: groupEnd)
                return step
            }
            (source, pass, segment.builder) = (step.source, step.pass, step.builder)
            if let problem = step.problem { throw damaged(source, problem) }
            do throws(StorageError) { try await segment.flush() } catch {
                throw LogError(error, while: "writing a compacted segment")
            }
            let moved = source.cursor.position - before
            progress.report.readBytes += moved
            progress.report.writtenBytes += segment.builder.end.position - written
            if step.isFull {
                try await output.finish(group)
                try await output.begin(
                    at: segment.builder.end.nextOffset, for: group, in: self)
            }
            try await pause(
                after: moved + segment.builder.end.position - written, &progress)
        }
    }

    /// What is done in one go on a thread of the storage.
    private struct Step: Sendable {
        var source: Source
        var pass: CompactionPass
        var builder: SegmentBuilder
        var problem: BatchProblem?
        /// Whether the segment has no room for the next batch.
        var isFull = false

        mutating func run(upTo limit: Int, room: Int, groupEnd: Int64) {
            do throws(BatchProblem) {
                while !source.isAtEnd, source.cursor.position < limit {
                    let place = source.cursor
                    let (batch, header) = try source.next()
                    guard builder.isEmpty || builder.end.position + batch.count <= room else {
                        source.cursor = place
                        isFull = true
                        return
                    }
                    let outcome = pass.apply(
                        batch.unsafeBytes, header, isLast: header.nextOffset == groupEnd)
                    switch outcome {
                    case .dropped: break
                    case .unchanged, .opaque: builder.add(batch, header)
                    case .rewritten(let block):
                        // Its header is the old one but for counts, times and flags.
                        if let header = BatchHeader(block.unsafeBytes) {
                            builder.add(MemorySlice(block), header)
                        }
                    }
                }
            } catch { problem = error }
        }
    }

    // MARK: Committing

    /// Names a new segment in the manifest, so that its files are known to be garbage until a
    /// replacement takes them in.
    private func stage(
        at baseOffset: Int64, for group: [SealedSegment<S>]
    ) async throws(LogError) -> SegmentID {
        var id = SegmentID(baseOffset: baseOffset)
        try await changingStructure("compacting") { () async throws(StorageError) in
            // Above those of all inputs, so that no name ever stands for two contents.
            let newest = group.map(\.info.id.generation).max() ?? 0
            id.generation = max(
                newest &+ 1, manifest.manifest.unusedID(baseOffset: baseOffset).generation)
            manifest.inProgress.insert(id)
            try await manifest.commit([.stage(id)])
        }
        return id
    }

    /// Puts new segments in the place of a group, for good. False when the group is no longer part
    /// of the log as it was read; then the new segments are given up. After a failure they stay:
    /// the manifest on disk may have taken them in, and opening the log decides.
    private func replace(
        _ group: [SealedSegment<S>], with infos: [SegmentInfo]
    ) async throws(LogError) -> Bool {
        let old = group.map(\.info)
        var isCurrent = false
        try await changingStructure("compacting") { () async throws(StorageError) in
            let sealed = manifest.manifest.sealed
            guard let start = sealed.firstIndex(where: { $0.id == old[0].id }),
                start + old.count <= sealed.count,
                Array(sealed[start..<start + old.count]) == old
            else { return }
            isCurrent = true
            try await manifest.commit([
                .replace(removing: old.map(\.id), with: infos, cleanedUpTo: 0)
            ])
            let fresh = infos.map { sealedSegment($0) }
            state.publish { snapshot in
                let place = snapshot.sealed.firstIndex { $0.info.id == old[0].id }
                guard let place else { return }
                snapshot.sealed.replaceSubrange(place..<place + old.count, with: fresh)
            }
        }
        manifest.inProgress.subtract(infos.map(\.id))
        await removeGarbage()
        return isCurrent
    }

    /// Removes what was staged and is not wanted.
    private func discard(_ output: Output) async {
        await output.current?.close()
        manifest.inProgress.subtract(output.ids)
        await removeGarbage()
    }
}
