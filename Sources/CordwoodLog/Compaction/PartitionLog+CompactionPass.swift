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
        let context = try await compactionContext()
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
    private func compactionContext() async throws(LogError) -> (
        aborted: [AbortedRange], producers: [Int64: ProducerLastBatch]
    ) {
        let aborted = try await abortedTransactions(in: startOffset..<max(startOffset, endOffset))
        let producers = ledger.published.states.producers.mapValues { state in
            ProducerLastBatch(
                lastDataOffset: state.batches.last?.lastOffset, producerEpoch: state.epoch)
        }
        return (
            aborted.compactMap { transaction in
                guard transaction.firstOffset <= transaction.lastOffset else { return nil }
                return AbortedRange(
                    producerID: transaction.producerID,
                    offsets: transaction.firstOffset...transaction.lastOffset)
            }, producers
        )
    }

    private func isPassedOver(_ segment: SealedSegment<S>) -> Bool {
        !segment.info.gaps.isEmpty || compaction.passedOver.contains(segment.info.id)
    }

    // MARK: Reading

    /// Holds the chain of a compacted segment against its seal. Nothing else vouches for the offsets
    /// there, and a wrong one in the map would let newer records go.
    private func checkChain(
        _ start: CompactionSource, _ progress: inout Progress
    ) async throws(LogError) {
        guard start.rules.offsets == .increasing else { return }
        var source = start
        while !source.isAtEnd {
            let limit = source.cursor.position + (64 << 20)
            let (next, isSound) = await storage.offload { [source] in
                var source = source
                let isSound = source.follow(upTo: limit)
                return (source, isSound)
            }
            source = next
            guard isSound else {
                throw LogError(
                    .damaged, "segment \(source.info.id): the chain over its batches does not hold")
            }
            try await pause(after: 0, &progress)
        }
    }

    private func source(_ segment: SealedSegment<S>) async throws(LogError) -> CompactionSource {
        CompactionSource(
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

    private func damaged(_ source: CompactionSource, _ problem: BatchProblem) -> LogError {
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
        try await checkChain(source, &progress)
        while !source.isAtEnd, !mapping.isCut {
            let before = source.cursor.position
            let limit = before + progress.options.stepBytes
            let step: (CompactionSource, CompactionMapping, BatchProblem?) = await storage.offload {
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
        var output = CompactionOutput<S>()
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

    private func rewrite(
        _ start: CompactionSource, _ group: [SealedSegment<S>], _ pass: inout CompactionPass,
        _ output: inout CompactionOutput<S>, _ progress: inout Progress
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
            let step: CompactionStep = await storage.offload {
                [source, pass, builder = segment.builder] in
                var step = CompactionStep(source: source, pass: pass, builder: builder)
                step.run(upTo: limit, room: room, groupEnd: groupEnd)
                return step
            }
            (source, pass) = (step.source, step.pass)
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
}
