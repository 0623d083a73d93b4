import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Who is woken by what: counted, not timed.
@Suite(.timeLimit(.minutes(5))) struct FollowerTests {
    private func follow(
        _ log: SimulatedLog, at offset: Int64, _ isolation: Isolation = .uncommitted,
        truncations: Int = 0
    ) async throws -> Task<Void, Never> {
        let count = log.state.followerCount
        let task = Task {
            await log.waitForRecords(at: offset, isolation: isolation, truncations: truncations)
        }
        try await eventually("it sleeps") { log.state.followerCount > count }
        return task
    }

    @Test func aGroupWakesThoseWhoWaitForItAndNoOthers() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        log.setHighWatermark(0)
        let next = try await follow(log, at: 0, .logEnd)
        let replicated = try await follow(log, at: 0, .uncommitted)
        let later = try await follow(log, at: 2, .logEnd)
        let far = try await follow(log, at: 1 << 40, .logEnd)
        let closing = Task { await log.waitForClosing() }
        try await eventually("it sleeps") { log.state.followerCount == 5 }
        _ = try await log.append([Record("a"), Record("b")])
        #expect(log.state.followerCount == 4)
        await next.value
        log.setHighWatermark(1)
        #expect(log.state.followerCount == 3)
        await replicated.value
        _ = try await log.append([Record("c")])
        #expect(log.state.followerCount == 2)
        await later.value
        // Whatever else is published.
        try await log.flush()
        try await log.roll()
        #expect(log.state.followerCount == 2)
        try await log.close()
        await far.value
        await closing.value
        #expect(log.state.waitCount == 5)
    }

    @Test func aTruncationWakesAll() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        for text in ["a", "b", "c"] { _ = try await log.append([Record(text)]) }
        let followers = [
            try await follow(log, at: 3), try await follow(log, at: 7, .committed),
        ]
        try await log.truncate(to: 1)
        for follower in followers { await follower.value }
        #expect(log.state.followerCount == 0)
    }

    /// Cut and as long again as before the follower looked: its end alone does not tell.
    @Test func aTruncationSinceTheCallerLookedIsNotMissed() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        for text in ["a", "b", "c"] { _ = try await log.append([Record(text)]) }
        let (end, truncations) = (log.endOffset, log.truncations.count)
        try await log.truncate(to: 1)
        _ = try await log.append([Record("x"), Record("y")])
        #expect(log.endOffset == end)
        await log.waitForRecords(at: end, isolation: .uncommitted, truncations: truncations)
        // Whoever knows of it sleeps.
        let next = try await follow(log, at: end, truncations: truncations + 1)
        _ = try await log.append([Record("z")])
        await next.value
    }

    @Test func aFollowingReaderLearnsOfEachTruncation() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        for text in ["a", "b", "c"] { _ = try await log.append([Record(text)]) }
        var records = RecordSequence(log, from: 0, following: true).makeAsyncIterator()
        for text in ["a", "b", "c"] { #expect(try await records.next()?.text == text) }
        try await log.truncate(to: 1)
        for text in ["x", "y"] { _ = try await log.append([Record(text)]) }
        await expectLogError(.truncated) { _ = try await records.next() }
        for text in ["x", "y"] { #expect(try await records.next()?.text == text) }
        #expect(log.state.waitCount == 0)
    }

    @Test func aCancelledFollowerEndsInEitherOrder() async throws {
        let log = try await openLog(on: SimulatedStorage(seed: 1))
        let sleeping = try await follow(log, at: 0)
        sleeping.cancel()
        await sleeping.value
        let before = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await log.waitForRecords(at: 0)
            await log.waitForClosing()
        }
        await before.value
        #expect(log.state.followerCount == 0)
    }
}
