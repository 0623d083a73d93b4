import CordwoodSimulation
import CordwoodStorage
import Synchronization
import TestSupport
import Testing

@testable import Cordwood
@testable import CordwoodLog

/// A view of the latest records against what was appended, with writers and readers side by side.
@Suite(.timeLimit(.minutes(10))) struct CachedViewModelTests {
    private struct History: Sendable {
        struct Change: Sendable {
            var offset: Int64
            var value: [UInt8]?
        }

        struct Answer: Sendable {
            var key: [UInt8]
            var found: CachedValue
            /// The record that was asked for, where one was.
            var atLeast: Int64?
        }

        var changes: [[UInt8]: [Change]] = [:]
        var answers: [Answer] = []
        var nextValue = 0
    }

    private final class SharedHistory: Sendable {
        private let history = Mutex(History())

        func withLock<Value: Sendable>(_ body: (inout History) -> Value) -> Value {
            history.withLock { body(&$0) }
        }
    }

    private static let keys = (0..<12).map { bytes("key \($0)") }

    /// What was answered is the key's value at some offset from the claim on.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func noAnswerIsOlderThanItsClaim(seed: UInt64) async throws {
        let storage = SimulatedStorage(seed: seed)
        let history = SharedHistory()
        var log = LogConfiguration(segmentBytes: 30_000, maxMessageBytes: 8_000)
        log.cleanupPolicy = .compact
        for life in 0..<3 {
            let database = try await Database.open(on: storage)
            let topic = try await database.topic("values", .init(partitions: 2, log: log))
            let view = try await topic.cachedView(DiskTierTests.configuration())
            try await withThrowingTaskGroup(of: Void.self) { workers in
                for worker in 0..<4 {
                    let seed = seed * 100 + UInt64(life * 4 + worker)
                    workers.addTask {
                        var random = SplitMix64(seed: seed)
                        for _ in 0..<40 {
                            try await Self.act(view, topic, history, &random)
                        }
                    }
                }
                try await workers.waitForAll()
            }
            for key in Self.keys {
                let last = history.withLock { $0.changes[key]?.max { $0.offset < $1.offset } }
                guard let last else { continue }
                let found = try await view.value(
                    for: key,
                    atLeast: RecordPosition(
                        partition: topic.partition(of: key), offset: last.offset))
                #expect(found.value == last.value, "seed \(seed)")
            }
            await view.close()
            try await database.close()
        }
        let all = history.withLock { $0 }
        #expect(all.answers.count > 100)
        for answer in all.answers {
            let changes = (all.changes[answer.key] ?? []).sorted { $0.offset < $1.offset }
            let claimed = changes.last { $0.offset < answer.found.offset }
            let possible =
                [claimed?.value] + changes.filter { $0.offset >= answer.found.offset }.map(\.value)
            #expect(possible.contains(answer.found.value), "seed \(seed): \(answer), \(changes)")
            if let offset = answer.atLeast { #expect(answer.found.offset > offset) }
        }
    }

    private static func act(
        _ view: CachedView, _ topic: Topic, _ history: SharedHistory,
        _ random: inout SplitMix64
    ) async throws {
        let key = keys[random.below(keys.count)]
        switch random.below(20) {
        case 0..<6:
            let value: [UInt8]? =
                random.below(4) == 0
                ? nil
                : history.withLock { history in
                    history.nextValue += 1
                    return bytes("value \(history.nextValue)")
                }
            let receipt =
                random.coin()
                ? try await view.write(value, for: key)
                : try await topic.append([Record(key: key, value: value)])
            history.withLock {
                $0.changes[key, default: []].append(
                    .init(offset: receipt.lastOffset, value: value))
            }
            if random.coin() {
                let found = try await view.value(for: key, atLeast: receipt)
                history.withLock {
                    $0.answers.append(
                        .init(key: key, found: found, atLeast: receipt.lastOffset))
                }
            }
        case 6: try await topic[random.below(2)].compact(force: true)
        default:
            let found = try await view.value(for: key)
            history.withLock { $0.answers.append(.init(key: key, found: found, atLeast: nil)) }
        }
    }
}
