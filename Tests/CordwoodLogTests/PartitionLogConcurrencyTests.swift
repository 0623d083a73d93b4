import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Who waits for whom: groups, acknowledgements, back-pressure, followers, closing.
@Suite(.timeLimit(.minutes(30))) struct PartitionLogConcurrencyTests {
    /// Starts an append and returns once it is queued behind those before it.
    private func start(
        _ log: SimulatedLog, _ text: String, _ acknowledge: Acknowledgement = .durable
    ) async throws -> Task<Range<Int64>, any Error> {
        let end = await log.queuedEnd
        let task = Task { try await log.append([Record(text)], acknowledge: acknowledge) }
        try await eventually("the append is queued") { await log.queuedEnd > end }
        return task
    }

    @Test func appendsThatWaitShareOneWriteAndOneSync() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        storage.holdCompletions()
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let before = storage.counts
        var waiting: [Task<Range<Int64>, any Error>] = []
        for number in 0..<10 { waiting.append(try await start(log, "\(number)")) }
        #expect(storage.heldCount == 1, "the next group waits for the one before")
        #expect(log.endOffset == 0, "nothing is visible before it is durable")
        storage.completeHeld(1)
        #expect(try await first.value == 0..<1)
        await storage.waitForHeld(1)
        #expect(log.endOffset == 1)
        storage.releaseCompletions()
        for (number, task) in waiting.enumerated() {
            #expect(try await task.value == Int64(number + 1)..<Int64(number + 2))
        }
        #expect(log.statistics.groups == 2 && log.statistics.syncs == 2)
        #expect(storage.counts.syncs - before.syncs == 2)
        #expect(storage.counts.writes - before.writes == 2)
    }

    @Test func nobodyWaitsForNoSync() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        let syncs = storage.counts.syncs
        _ = try await log.append([Record("a")], acknowledge: .written)
        #expect(storage.counts.syncs == syncs && log.endOffset == 1 && log.durableOffset == 0)
        _ = try await log.append([Record("b")], acknowledge: .memory)
        try await eventually("it is written in the background") { log.endOffset == 2 }
        #expect(storage.counts.syncs == syncs && log.durableOffset == 0)
        _ = try await log.append([Record("c")])
        #expect(storage.counts.syncs == syncs + 1 && log.durableOffset == 3)
    }

    @Test func memoryReturnsBeforeTheWrite() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        storage.holdCompletions()
        #expect(try await log.append([Record("a")], acknowledge: .memory) == 0..<1)
        #expect(log.endOffset == 0)
        let written = try await start(log, "b", .written)
        storage.releaseCompletions()
        #expect(try await written.value == 1..<2)
    }

    @Test func aFailedSyncFailsEveryWaiterOfItsGroupAndBehind() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.append([Record("before")])
        storage.holdCompletions()
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let second = try await start(log, "second")
        let third = try await start(log, "third", .written)
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        storage.releaseCompletions()
        let cause = await expectLogError(.storage) { _ = try await first.value }
        #expect(cause?.cause?.operation == "fdatasync")
        await expectLogError(.poisoned) { _ = try await second.value }
        await expectLogError(.poisoned) { _ = try await third.value }
        await expectLogError(.poisoned) { _ = try await log.append([Record("later")]) }
        await expectLogError(.poisoned) {
            _ = try await log.append([Record("later")], acknowledge: .memory)
        }
        #expect(try await log.all().map(\.text) == ["before"])
        #expect(log.durableOffset == 1 && log.endOffset == 1)
        await expectLogError(.poisoned) { try await log.close() }
        let again = try await openLog(on: storage)
        #expect(try await again.all().first?.text == "before")
        let next = try await again.append([Record("works")])
        #expect(next.lowerBound == again.endOffset - 1)
    }

    // MARK: Back-pressure

    private static var tight: LogConfiguration {
        var configuration = LogConfiguration()
        configuration.maximumQueuedBytes = 150
        return configuration
    }

    @Test func appendsBeyondTheQueueWaitTheirTurn() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.tight)
        storage.holdCompletions()
        // On its way, queued, and no room for more.
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let second = try await start(log, "second")
        let end = await log.queuedEnd
        var waiting: [Task<Range<Int64>, any Error>] = []
        for number in 0..<5 {
            // Larger and smaller ones: the small do not overtake.
            let value = [UInt8](repeating: UInt8(number), count: number % 2 == 0 ? 200 : 1)
            waiting.append(Task { try await log.append([Record(value: value)]) })
            try await eventually("it waits for room") { await log.waitingCount == number + 1 }
        }
        #expect(await log.queuedEnd == end, "none of them is queued")
        storage.releaseCompletions()
        _ = try await (first.value, second.value)
        for (number, task) in waiting.enumerated() {
            #expect(try await task.value.lowerBound == end + Int64(number))
        }
        #expect(try await log.all().count == 7)
    }

    @Test func anAppendThatIsCancelledWhileItWaitsAppendsNothing() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.tight)
        storage.holdCompletions()
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let second = try await start(log, "second")
        let cancelled = Task {
            try await log.append([Record(value: [UInt8](repeating: 1, count: 200))])
        }
        try await eventually("it waits for room") { await log.waitingCount == 1 }
        let behind = Task { try await log.append([Record("behind")]) }
        try await eventually("it waits for room") { await log.waitingCount == 2 }
        cancelled.cancel()
        await expectLogError(.cancelled) { _ = try await cancelled.value }
        let before = Task { try await log.append([Record("cancelled before it began")]) }
        before.cancel()
        storage.releaseCompletions()
        _ = try await (first.value, second.value, behind.value)
        let texts = try await log.all().map(\.text)
        #expect(Array(texts.prefix(3)) == ["first", "second", "behind"])
        // The last was cancelled: it is in the log when it says so, and only then.
        let wasAppended = (try? await before.value) != nil
        #expect(try await log.all().count == (wasAppended ? 4 : 3))
    }

    @Test func poisonReleasesThoseWhoWaitForRoom() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.tight)
        storage.holdCompletions()
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let second = try await start(log, "second")
        let waiting = Task {
            try await log.append([Record(value: [UInt8](repeating: 1, count: 200))])
        }
        try await eventually("it waits for room") { await log.waitingCount == 1 }
        storage.inject(Fault(.inputOutput, at: 1, of: .write))
        storage.releaseCompletions()
        await expectLogError(.storage) { _ = try await first.value }
        await expectLogError(.poisoned) { _ = try await second.value }
        await expectLogError(.poisoned) { _ = try await waiting.value }
    }

    // MARK: Closing

    @Test func closingDrainsWhatIsQueued() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        storage.holdCompletions()
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let second = try await start(log, "second", .memory)
        let closing = Task { try await log.close() }
        try await eventually("the log is closing") { await log.refusesAppends }
        await expectLogError(.closed) { _ = try await log.append([Record("late")]) }
        let closingToo = Task {
            try await log.close()
            return log.isClosed
        }
        storage.releaseCompletions()
        _ = try await (first.value, second.value)
        try await closing.value
        #expect(try await closingToo.value, "a second close returns when the log is closed")
        await expectLogError(.closed) { _ = try await log.append([Record("late")]) }
        await expectLogError(.closed) { _ = try await log.read(from: 0) }
        try await log.close()
        storage.crash(.dropUnsynced)
        let again = try await openLog(on: storage)
        #expect(try await again.all().map(\.text) == ["first", "second"])
        #expect(again.recovery.notes.isEmpty && again.recovery.cutBytes == 0)
    }

    @Test func closingRefusesThoseWhoWaitForRoom() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, Self.tight)
        storage.holdCompletions()
        let first = try await start(log, "first")
        await storage.waitForHeld(1)
        let second = try await start(log, "second")
        let waiting = Task {
            try await log.append([Record(value: [UInt8](repeating: 1, count: 200))])
        }
        try await eventually("it waits for room") { await log.waitingCount == 1 }
        let closing = Task { try await log.close() }
        await expectLogError(.closed) { _ = try await waiting.value }
        storage.releaseCompletions()
        _ = try await (first.value, second.value)
        try await closing.value
    }

    @Test func aCloseThatFailsSaysSoAndCloses() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.append([Record("a")])
        storage.inject(Fault(.inputOutput, at: 1, of: .sync))
        await expectLogError(.storage) { try await log.close() }
        #expect(log.isClosed)
        await expectLogError(.storage) { try await log.close() }
        #expect(try await openLog(on: storage).all().count == 1)
    }

    // MARK: Followers

    @Test func aSlowFollowerDoesNotHoldTheWriter() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        var iterator = RecordSequence(log, from: 0, following: true).makeAsyncIterator()
        for number in 0..<300 {
            _ = try await log.append([Record("\(number)")], acknowledge: .written)
        }
        // It finds everything although the tail has long moved on.
        for number in 0..<300 {
            #expect(try await iterator.next()?.text == "\(number)")
        }
    }

    @Test func followersEndWhenTheyAreCancelled() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        for delay in 0..<20 {
            let follower = Task {
                var count = 0
                for try await _ in RecordSequence(log, from: 0, following: true) { count += 1 }
                return count
            }
            if delay % 2 == 0 { try await Task.sleep(for: .milliseconds(2)) }
            follower.cancel()
            #expect(try await follower.value == 0)
        }
    }

    @Test func withoutFollowingItEndsAtTheEnd() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.append([Record("a"), Record("b"), Record("c")])
        #expect(try await log.all(from: 1).map(\.text) == ["b", "c"])
        #expect(try await log.all(from: 3).isEmpty)
        var batches = BatchSequence(log, from: 1, following: false).makeAsyncIterator()
        #expect(try await batches.next()?.baseOffset == 0)
        #expect(try await batches.next() == nil)
    }

    @Test func aFollowerInTheMiddleEndsWithTheLogAndAReaderIsTold() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        _ = try await log.append([Record("a")])
        var follower = RecordSequence(log, from: 0, following: true).makeAsyncIterator()
        #expect(try await follower.next()?.text == "a")
        var reader = RecordSequence(log, from: 0, following: false).makeAsyncIterator()
        try await log.close()
        #expect(try await follower.next() == nil)
        await expectLogError(.closed) { _ = try await reader.next() }
    }

    // MARK: Many at once

    @Test func manyProducersGetOffsetsWithoutGaps() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage, .small)
        let ranges = try await withThrowingTaskGroup(of: [(Range<Int64>, String)].self) { group in
            for producer in 0..<8 {
                group.addTask {
                    var ranges: [(Range<Int64>, String)] = []
                    for number in 0..<40 {
                        let text = "\(producer) \(number)"
                        let offsets = try await log.append(
                            (0...number % 3).map { _ in Record(text) },
                            acknowledge: Acknowledgement.allCases[number % 3])
                        ranges.append((offsets, text))
                    }
                    return ranges
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        try await log.close()
        let again = try await openLog(on: storage, .small)
        let texts = try await again.all().map(\.text)
        var next: Int64 = 0
        for (offsets, text) in ranges.sorted(by: { $0.0.lowerBound < $1.0.lowerBound }) {
            #expect(offsets.lowerBound == next)
            next = offsets.upperBound
            for offset in offsets { #expect(texts[Int(offset)] == text) }
        }
        #expect(next == again.endOffset)
    }
}
