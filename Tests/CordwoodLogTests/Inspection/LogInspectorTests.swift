import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Items found in the tests' log, and the report.
func inspect(
    _ storage: SimulatedStorage, _ change: (inout InspectionOptions) -> Void = { _ in }
) async throws -> (items: [InspectionItem], report: VerificationReport) {
    var options = InspectionOptions()
    change(&options)
    var items: [InspectionItem] = []
    var inspector = try LogInspector(logPath(), on: storage, options) { items.append($0) }
    try await inspector.run()
    return (items, inspector.report)
}

@Suite struct LogInspectorTests {
    /// A log of several segments, closed or left as a kill leaves it.
    private func makeLog(
        _ storage: SimulatedStorage, appends: Int = 60, closing: Bool = true
    ) async throws -> SimulatedLog {
        let log = try await openLog(on: storage, .small)
        for number in 0..<appends {
            _ = try await log.append(
                [Record(key: [1], value: Array("value \(number)".utf8), timestamp: 7)])
        }
        if closing { try await log.close() }
        return log
    }

    private func contents(_ storage: SimulatedStorage) -> [String: [UInt8]?] {
        Dictionary(
            uniqueKeysWithValues: storage.files.map { ($0.description, storage.contents(of: $0)) })
    }

    @Test(arguments: [true, false])
    func showsEverythingAndChangesNothing(closed: Bool) async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await makeLog(storage, closing: closed)
        let before = contents(storage)
        let operations = storage.trace.count
        let (items, report) = try await inspect(storage) {
            $0.showsRecords = true
            $0.showsIndexes = true
        }
        #expect(report.isSound, "\(report.damage)")
        #expect(report.records == 60 && report.segments == log.segmentCount)
        #expect(report.segments > 2)
        func count(_ kind: InspectionItem.Kind) -> Int { items.count { $0.kind == kind } }
        #expect(count(.manifest) == 1 && count(.segment) == report.segments)
        #expect(count(.batch) == report.batches && count(.record) == 60)
        #expect(count(.seal) == report.segments - 1 && count(.entry) > report.segments - 1)
        #expect(count(.timeEntry) == count(.entry) && count(.timeIndex) == count(.index))
        #expect(count(.watermark) >= report.segments && count(.damage) == 0)
        #expect(contents(storage) == before)
        let changing: Set<OperationKind> = [
            .write, .sync, .syncDirectory, .rename, .unlink, .mkdir, .flock, .truncate,
            .preallocate,
        ]
        #expect(!storage.trace[operations...].contains { changing.contains($0.kind) })
        if !closed { try await log.close() }
    }

    @Test func looksAtOneSegmentWhereAsked() async throws {
        let storage = SimulatedStorage(seed: 2)
        let log = try await makeLog(storage)
        let (all, _) = try await inspect(storage)
        let bases = all.filter { $0.kind == .segment }.map(\.path)
        #expect(bases.count == log.segmentCount)
        let (items, report) = try await inspect(storage) { $0.baseOffset = 0 }
        #expect(items.filter { $0.kind == .segment }.map(\.path) == [bases[0]])
        #expect(report.segments == 1 && report.isSound)
    }

    @Test func goesOnBehindDamageAndTellsItsPlace() async throws {
        let storage = SimulatedStorage(seed: 4)
        _ = try await makeLog(storage)
        let first = SegmentFiles.log(SegmentID(baseOffset: 0), in: try logPath())
        try storage.flip(first, byte: SegmentHeader.byteCount + 100)
        let (items, report) = try await inspect(storage)
        #expect(report.damage.count == 1)
        let damage = try #require(items.first { $0.kind == .damage })
        #expect(damage.path == first.description && damage.position != nil)
        #expect(report.damage[0].problem.contains("CRC-32C"))
        #expect(report.records == 60 - Int(report.damage[0].offsets.count))
        let log = try await openLog(on: storage, .small)
        #expect(try await log.allReadable().count == report.records)
    }

    @Test func aLogWithoutItsManifestIsStillShown() async throws {
        let storage = SimulatedStorage(seed: 5)
        _ = try await makeLog(storage)
        try await storage.remove(path("log/manifest"))
        let (items, report) = try await inspect(storage)
        #expect(!report.isSound && report.records == 60)
        #expect(items.contains { $0.kind == .batch })
    }

    @Test func aMissingAndAForeignSegmentAreDamage() async throws {
        let storage = SimulatedStorage(seed: 6)
        _ = try await makeLog(storage)
        let first = SegmentFiles.log(SegmentID(baseOffset: 0), in: try logPath())
        let (items, _) = try await inspect(storage)
        let second = try #require(
            items.filter { $0.kind == .segment }.map(\.path).dropFirst().first)
        try await storage.rename(path(second), to: first)
        let (_, report) = try await inspect(storage)
        #expect(report.damage.contains { $0.path == first.description })
        #expect(report.damage.contains { $0.path == second && $0.problem.contains("not found") })
    }

    @Test func aTornTailIsANoteAndNoDamage() async throws {
        let storage = SimulatedStorage(seed: 7)
        let log = try await makeLog(storage, appends: 3, closing: false)
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await expectLogError(.storage) { _ = try await log.append([Record("lost")]) }
        for seed: UInt64 in 0..<20 {
            let other = SimulatedStorage(seed: seed)
            let log = try await makeLog(other, appends: 3, closing: false)
            other.holdCompletions(of: [.write])
            let append = Task { try await log.append([Record("torn")]) }
            await other.waitForHeld(1)
            other.crash()
            other.releaseCompletions()
            _ = await append.result
            let (_, report) = try await inspect(other)
            #expect(report.isSound && report.records >= 3, "seed \(seed): \(report.damage)")
        }
    }
}
