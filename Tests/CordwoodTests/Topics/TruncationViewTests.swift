import CordwoodLog
import CordwoodSimulation
import Testing

@testable import Cordwood

/// Views of a partition whose log is cut to five records and written anew, over and over.
@Suite(.timeLimit(.minutes(5))) struct TruncationViewTests {
    private static let kept: Int64 = 5

    private func rewrite(_ topic: Topic, rounds: Int) async throws {
        for round in 1...rounds {
            try await topic[0].log.truncate(to: Self.kept)
            _ = try await topic.append((0..<4).map { _ in Record("\(round)") })
        }
    }

    private func open() async throws -> (Database, Topic) {
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        let topic = try await database.topic("orders")
        for count in [5, 4] { _ = try await topic.append((0..<count).map { _ in Record("0") }) }
        return (database, topic)
    }

    /// A fold is always of one history: never of what was cut and of what took its place.
    @Test func aFoldIsOfOneHistory() async throws {
        let (database, topic) = try await open()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 {
                let fold = try await topic.fold(into: [String]()) { $0.append($1.text ?? "") }
                group.addTask {
                    while !Task.isCancelled {
                        let values = try await fold.value()
                        #expect(values.count == 5 || values.count == 9)
                        #expect(Set(values.dropFirst(5)).count <= 1, "\(values)")
                        if values.last == "120" { return }
                        await Task.yield()
                    }
                }
            }
            group.addTask { try await self.rewrite(topic, rounds: 120) }
            try await group.waitForAll()
        }
        try await database.close()
    }

    /// A consumer goes back to each cut, and meets nothing else.
    @Test func aConsumerGoesBackToEachCut() async throws {
        let (database, topic) = try await open()
        let group = try await database.consumerGroup("billing")
        try await group.reset(topic, to: .earliest)
        let consumer = try group.consumer(of: topic, .init(autoOffsetReset: .none))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                var last: Int64 = -1
                for try await record in consumer {
                    let offset = record.record.offset
                    #expect(offset == last + 1 || offset == Self.kept, "\(offset) after \(last)")
                    last = offset
                    if record.text == "120", offset == 8 { return }
                }
            }
            tasks.addTask { try await self.rewrite(topic, rounds: 120) }
            try await tasks.waitForAll()
        }
        try await database.close()
    }
}
