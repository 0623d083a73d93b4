import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// The manifest of a log that lives long.
@Suite struct ManifestUpkeepTests {
    private func edits(_ storage: SimulatedStorage) throws -> [SegmentEdit] {
        let bytes = try #require(storage.contents(of: path("log/manifest")))
        return try bytes.withUnsafeBytes { bytes in
            var edits: [SegmentEdit] = []
            var position = EditFrame.headerByteCount
            while let edit = EditFrame.decode(bytes, at: position, sequence: UInt32(edits.count)) {
                edits.append(try #require(SegmentEdit(edit.payload)))
                position = edit.end
            }
            return edits
        }
    }

    /// Segments that are gone for good leave no trace: an opening costs what there is, not what ever
    /// was.
    @Test func garbageIsForgottenOnceItIsGone() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.retentionBytes = 6000
        let storage = SimulatedStorage(seed: 1)
        var removed = 0
        for life in 0..<4 {
            let log = try await openLog(on: storage, configuration)
            for number in 0..<60 { _ = try await log.append([Record("\(life) a text \(number)")]) }
            removed += try await log.applyRetention(now: 0)
            #expect(log.segmentCount < 5)
            if life % 2 == 0 { storage.crash(.dropUnsynced) } else { try await log.close() }
            let again = try await openLog(on: storage, configuration)
            let edits = try edits(storage)
            #expect(edits.count <= 2 * again.segmentCount + 2, "life \(life): \(edits)")
            try await again.close()
        }
        #expect(removed > 5)
    }

    /// A file that cannot be removed stays named, however often the log is opened, until it is gone.
    @Test func garbageThatStaysIsRemembered() async throws {
        let configuration = LogConfiguration.smallWithoutTail
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, configuration)
        for number in 0..<60 { _ = try await log.append([Record("a text \(number)")]) }
        storage.inject(Fault(.inputOutput, at: 1, of: .unlink, isPersistent: true))
        try await log.deleteRecords(before: 50)
        try await log.close()
        for _ in 0..<2 {
            let again = try await openLog(on: storage, configuration)
            #expect(again.recovery.notes.contains { $0.contains("no longer needed") })
            try await again.close()
        }
        let first = try path("log/00000000000000000000.log")
        #expect(storage.contents(of: first) != nil)
        storage.clearFaults()
        try await openLog(on: storage, configuration).close()
        #expect(storage.contents(of: first) == nil)
        let last = try await openLog(on: storage, configuration)
        #expect(last.startOffset == 50 && last.recovery.notes.isEmpty)
    }

    /// A file of a segment that was given up, which a power cut brought back, is told and removed.
    @Test func filesThatComeBackAreRemoved() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        for number in 0..<60 { _ = try await log.append([Record("a text \(number)")]) }
        let first = try path("log/00000000000000000000.log")
        let content = try #require(storage.contents(of: first))
        try await log.deleteRecords(before: 50)
        try await log.close()
        try await openLog(on: storage, .smallWithoutTail).close()
        let file = try await storage.open(first, .create)
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: content))])], thenSync: true)
        await file.close()
        let again = try await openLog(on: storage, .smallWithoutTail)
        #expect(again.recovery.notes.contains { $0.contains("were given up before") })
        #expect(again.startOffset == 50 && storage.contents(of: first) == nil)
    }

    /// A manifest that has grown is written anew while the log runs, and says the same, whatever
    /// fails or is lost meanwhile.
    @Test func aGrownManifestIsWrittenAnew() async throws {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.retentionBytes = 6000
        for seed in seeds(12) {
            let storage = SimulatedStorage(seed: seed)
            let log = try await openLog(on: storage, configuration)
            await log.rewriteManifest(at: 600)
            if seed % 3 == 1 { storage.inject(Fault(.noSpace, at: 2, of: .rename)) }
            for number in 0..<150 {
                _ = try await log.append([Record("a text \(number)")])
                if number % 3 == 2 { try await log.roll() }
                if number % 20 == 19 { try await log.applyRetention(now: 0) }
            }
            let (start, segments) = (log.startOffset, log.segmentCount)
            // Two for each roll, and those of retention; a rewriting that failed is put off.
            #expect(try edits(storage).count < (seed % 3 == 1 ? 120 : 80), "seed \(seed)")
            storage.crash()
            let again = try await openLog(on: storage, configuration)
            #expect(again.startOffset == start && again.segmentCount == segments, "seed \(seed)")
            #expect(try await again.all().map(\.offset) == Array(start..<150), "seed \(seed)")
        }
    }
}

extension PartitionLog {
    fileprivate func rewriteManifest(at bytes: Int) { manifest.rewriteBytes = bytes }
}
