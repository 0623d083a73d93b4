import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Logs whose last records are damaged beyond what can be told from a torn write, so that they end
/// before what the manifest speaks of.
@Suite struct ShortLogTests {
    /// A log of five records in one segment, of which the last one is damaged.
    private func damaged(
        _ change: (SimulatedLog) async throws -> Void
    ) async throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .smallWithoutTail)
        var last = 0
        for number in 0..<5 {
            last = log.byteCount
            _ = try await log.append([Record("\(number)")])
        }
        try await change(log)
        storage.crash(.keepAll)
        try storage.flip(path("log/00000000000000000000.log"), byte: last + 64)
        return storage
    }

    /// The start never goes back, and nothing is appended before it, where nobody could read it.
    @Test func offsetsBehindTheStartGoOn() async throws {
        for closing in [true, false] {
            let storage = try await damaged { try await $0.deleteRecords(before: 5) }
            var log = try await openLog(on: storage, .smallWithoutTail)
            for life in 0..<2 {
                #expect(log.startOffset == 5 && log.endOffset == 5, "life \(life)")
                #expect(try await log.all().isEmpty)
                if life == 0 {
                    #expect(log.recovery.notes.contains { $0.contains("expected 5 or more") })
                    if closing { try await log.close() } else { storage.crash(.dropUnsynced) }
                    log = try await openLog(on: storage, .smallWithoutTail)
                }
            }
            #expect(log.recovery.notes.isEmpty, "\(log.recovery)")
            #expect(try await log.append([Record("new")]) == 5..<6)
            try await log.close()
            log = try await openLog(on: storage, .smallWithoutTail)
            #expect(try await log.all().map(\.text) == ["new"])
            #expect(try await log.verify().isSound)
        }
    }

    /// An epoch that began behind the end is gone with its start: records that come now are of the
    /// one before, and can be read.
    @Test func epochsBehindTheEndAreForgotten() async throws {
        let storage = try await damaged { try await $0.startEpoch(3) }
        var log = try await openLog(on: storage, .smallWithoutTail)
        #expect(log.endOffset == 4 && log.epochs.latest == 0)
        #expect(try await log.append([Record("new")]) == 4..<5)
        try await log.startEpoch(4)
        #expect(try await log.append([Record("newer")]) == 5..<6)
        try await log.close()
        log = try await openLog(on: storage, .smallWithoutTail)
        #expect(try await log.all().map(\.text) == ["0", "1", "2", "3", "new", "newer"])
        #expect(try #require(log.endOffset(forEpoch: 3)) == (0, 5))
    }

    /// A crash anywhere in such an opening leads to the same.
    @Test func theOpeningCanBeInterruptedAnywhere() async throws {
        var k = 0
        var isDone = false
        while !isDone {
            k += 1
            let storage = try await damaged { log in
                try await log.startEpoch(3)
                try await log.deleteRecords(before: 5)
            }
            storage.inject(Fault(.inputOutput, at: k, isPersistent: true))
            do {
                _ = try await openLog(on: storage, .smallWithoutTail)
                isDone = storage.trace.last?.failure == nil
            } catch {}
            storage.clearFaults()
            storage.crash()
            let log = try await openLog(on: storage, .smallWithoutTail)
            #expect(log.startOffset == 5 && log.endOffset == 5, "operation \(k)")
            #expect(log.epochs.latest == 0, "operation \(k)")
            #expect(try await log.append([Record("new")]) == 5..<6)
            #expect(try await log.all().map(\.text) == ["new"], "operation \(k)")
        }
        #expect(k > 5)
    }
}
