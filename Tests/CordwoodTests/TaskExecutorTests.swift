import Cordwood
import CordwoodSimulation
import TestSupport
import Testing

/// Producers that run on the database's own thread.
@Suite struct TaskExecutorTests {
    /// All that were answered together append before the next group is written, so that each sync
    /// serves all of them.
    @Test func producersOnItsThreadShareEverySync() async throws {
        let folder = TemporaryDirectory()
        let database = try await Database.open(at: folder.path)
        let partition = try await database.topic("orders")[0]
        let (producers, appends) = (8, 50)
        let offsets = try await Task(executorPreference: database.taskExecutor) {
            try await withThrowingTaskGroup(of: [Int64].self) { group in
                for producer in 0..<producers {
                    group.addTask {
                        var offsets: [Int64] = []
                        for append in 0..<appends {
                            let record = Record("\(producer) \(append)")
                            offsets.append(try await partition.append([record]).firstOffset)
                        }
                        return offsets
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
        }.value
        #expect(offsets.sorted() == Array(0..<Int64(producers * appends)))
        // One for each round, and a few while they fall into step.
        #expect(partition.statistics.syncs < appends + 10)
        try await database.close()
    }

    /// A producer's last answer and the closing of its log meet: nothing hangs.
    @Test(.timeLimit(.minutes(30))) func closingBehindTheLastAnswer() async throws {
        let folder = TemporaryDirectory()
        for round in 1...30 {
            let database = try await Database.open(at: folder.path)
            let topic = try await database.topic("orders")
            try await Task(executorPreference: database.taskExecutor) {
                for _ in 0..<10 { _ = try await topic.append([Record("a")]) }
            }.value
            try await database.close()
            #expect(topic[0].endOffset == Int64(round * 10))
        }
    }

    /// The same on a simulated storage.
    @Test func simulatedStoragesHaveOneToo() async throws {
        let storage = SimulatedStorage(seed: 1)
        let database = try await Database.open(on: storage)
        let topic = try await database.topic("orders")
        let offset = try await Task(executorPreference: database.taskExecutor) {
            try await topic.append([Record("a"), Record("b")]).lastOffset
        }.value
        #expect(offset == 1)
        try await database.close()
    }
}
