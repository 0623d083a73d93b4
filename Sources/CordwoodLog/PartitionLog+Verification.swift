import CordwoodStorage

extension PartitionLog {
    /// How much one step of a verification reads.
    private static var verificationStepBytes: Int { 8 << 20 }

    public nonisolated func verify() async throws(LogError) -> VerificationReport {
        var report = VerificationReport()
        let (sealed, end) = state.read { ($0.sealed, $0.end.nextOffset) }
        for segment in sealed { await verify(segment, &report) }
        report.segments += 1
        var offset = sealed.last?.end.nextOffset ?? startOffset
        while offset < end {
            if Task.isCancelled { throw LogError(.cancelled, "the verification was cancelled") }
            do throws(LogError) {
                let place = try place(
                    of: offset, maximumBytes: Self.verificationStepBytes, inMemory: false)
                let batches = try await read(place, from: offset)
                report.count(batches)
                offset = batches.last.map { $0.lastOffset + 1 } ?? end
            } catch {
                offset = try report.note(error, from: offset)
            }
        }
        return report
    }

    /// Opens a sealed segment afresh and reads it whole.
    private nonisolated func verify(
        _ segment: SealedSegment<S>, _ report: inout VerificationReport
    ) async {
        report.segments += 1
        let offsets = segment.baseOffset..<segment.end.nextOffset
        let path = segment.path.description
        let opened: SealedSegment<S>.Opened
        do throws(LogError) {
            opened = try await segment.load()
        } catch {
            report.damage.append(Damage(path: path, offsets: offsets, problem: "\(error)"))
            return
        }
        if let problem = opened.indexProblem {
            report.damage.append(
                Damage(
                    path: path, offsets: 0..<0,
                    problem: "\(problem); the index was made anew from the segment"))
        }
        var offset = offsets.lowerBound
        while offset < offsets.upperBound {
            do throws(LogError) {
                let batches = try await segment.read(
                    opened, from: offset, maximumBytes: Self.verificationStepBytes)
                report.count(batches)
                offset = batches.last.map { $0.lastOffset + 1 } ?? offsets.upperBound
            } catch {
                let resume = max(error.resumeOffset ?? offsets.upperBound, offset + 1)
                report.damage.append(
                    Damage(path: path, offsets: offset..<resume, problem: error.message))
                offset = resume
            }
        }
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
    fileprivate mutating func note(_ error: LogError, from offset: Int64) throws(LogError) -> Int64
    {
        guard error.code == .damaged, let resume = error.resumeOffset, resume > offset else {
            throw error
        }
        damage.append(Damage(path: "", offsets: offset..<resume, problem: error.message))
        return resume
    }
}
