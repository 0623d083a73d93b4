import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Tasks that prefer an executor lose an actor's thread at calls that look as if they kept it; what
/// they wait for may happen at any such moment.
@Suite(.timeLimit(.minutes(5))) struct WaitersTests {
    /// Waiting begins; the change comes after so many other jobs of the thread.
    @Test(arguments: 0..<8) func aChangeOnTheWayIsNotMissed(turns: Int) async {
        let storage = SimulatedStorage(seed: 1)
        let owner = Owner(storage)
        await Task(executorPreference: storage.taskExecutor) {
            await owner.waitForChange(after: turns)
        }.value
        await Task(executorPreference: storage.taskExecutor) {
            await owner.lockTwice(releasingAfter: turns)
        }.value
    }

    /// Appends whose records nobody waits for are on their way while the log is closed.
    @Test func closingMeetsTheLastGroup() async throws {
        for seed in UInt64(0)..<100 {
            let storage = SimulatedStorage(seed: seed, scheduling: .bySeed)
            try await storage.run {
                let log = try await openLog(on: storage)
                _ = try await log.append([Record("a")], acknowledge: .memory)
                _ = try await log.append([Record("b")], acknowledge: .written)
                try await log.close()
                try await log.close()
            }
        }
    }
}

/// An actor on a storage's thread.
private actor Owner {
    private let storage: SimulatedStorage
    private let waiters = Waiters()
    private let lock = StructureLock()
    private var hasChanged = false

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        storage.executor.asUnownedSerialExecutor()
    }

    init(_ storage: SimulatedStorage) { self.storage = storage }

    func waitForChange(after turns: Int) async {
        perform(after: turns) { owner in
            owner.hasChanged = true
            owner.waiters.resumeAll()
        }
        while !hasChanged { await waiters.wait { !hasChanged } }
    }

    func lockTwice(releasingAfter turns: Int) async {
        await lock.acquire()
        perform(after: turns) { $0.lock.release() }
        await lock.acquire()
        lock.release()
    }

    /// Runs work on the thread when it came round so many times.
    private func perform(after turns: Int, _ work: @escaping @Sendable (isolated Owner) -> Void) {
        storage.enqueue {
            self.assumeIsolated { owner in
                if turns == 0 { work(owner) } else { owner.perform(after: turns - 1, work) }
            }
        }
    }
}
