import CordwoodStorage

extension PartitionLog {
    /// How much one step of a verification reads.
    private static var verificationStepBytes: Int { 8 << 20 }

    public nonisolated func verify() async throws(LogError) -> VerificationReport {
        var report = VerificationReport()
        let (sealed, end) = state.read { ($0.sealed, $0.end.nextOffset) }
        for segment in sealed { try await verify(segment, &report) }
        report.segments += 1
        let active = state.read { $0.activeHeader.baseOffset }
        let path = SegmentFiles.log(state.read { $0.activeHeader.id }, in: directory).description
        var offset = active
        while offset < end {
            try checkCancellation()
            do throws(LogError) {
                let place = try place(
                    of: offset, maximumBytes: Self.verificationStepBytes, inMemory: false)
                let batches = try await read(place, from: offset)
                report.count(batches)
                offset = batches.last.map { $0.lastOffset + 1 } ?? end
            } catch {
                offset = try report.note(error, path, from: offset)
            }
        }
        return report
    }

    /// Opens a sealed segment afresh and reads it whole.
    private nonisolated func verify(
        _ segment: SealedSegment<S>, _ report: inout VerificationReport
    ) async throws(LogError) {
        report.segments += 1
        let end = segment.end.nextOffset
        let path = segment.path.description
        var offset = segment.baseOffset
        let opened: SealedSegment<S>.Opened
        do throws(LogError) {
            opened = try await segment.load()
        } catch {
            if error.code == .storage { throw error }
            report.damage.append(
                Damage(path: path, offsets: offset..<end, problem: error.message))
            return
        }
        let times = try await segment.times()
        report.damage += (opened.problems + [times.problem].compactMap(\.self))
            .map { Damage(path: path, offsets: 0..<0, problem: $0) }
        while offset < end {
            try checkCancellation()
            do throws(LogError) {
                let batches = try await segment.read(
                    opened, from: offset, maximumBytes: Self.verificationStepBytes)
                report.count(batches)
                offset = batches.last.map { $0.lastOffset + 1 } ?? end
            } catch {
                offset = try report.note(error, path, from: offset)
            }
        }
    }

    private nonisolated func checkCancellation() throws(LogError) {
        if Task.isCancelled { throw LogError(.cancelled, "the verification was cancelled") }
    }
}

extension VerificationReport {
    fileprivate mutating func count(_ read: [RecordBatch]) {
        batches += read.count
        for batch in read {
            records += batch.recordCount
            bytes += batch.byteCount
        }
    }

    /// Lists damage and returns where to go on; throws what is not damage.
    fileprivate mutating func note(
        _ error: LogError, _ path: String, from offset: Int64
    ) throws(LogError) -> Int64 {
        guard error.code == .damaged, let resume = error.resumeOffset, resume > offset else {
            throw error
        }
        damage.append(Damage(path: path, offsets: offset..<resume, problem: error.message))
        return resume
    }
}
