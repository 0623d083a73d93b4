import CordwoodSimulation
import FaultWorkloads
import Testing

/// SQLite's pattern: operation 1 fails, then operation 2, and so on, until a run ends without having
/// met its fault.
@Suite(.timeLimit(.minutes(60))) struct OperationFaultTests {
    static let names = ["append", "roll", "compact", "transaction", "collection"]

    static func workload(_ name: String) throws -> any Workload {
        let rounds = name == "compact" ? 16 : name == "transaction" ? 4 : 8
        return try #require(
            Workloads.named(
                name, Load(writers: 1, rounds: rounds, levels: [.durable, .durable, .written])))
    }

    /// What comes after the k-th life.
    static func ending(_ k: Int) -> Crash { [.bySeed, .dropUnsynced, .keepAll, .bySeed][k % 4] }

    @Test(
        arguments: names,
        [
            Fault(.inputOutput, at: 1), Fault(.inputOutput, at: 1, isPersistent: true),
            Fault(.noSpace, at: 1), Fault(.noSpace, at: 1, isPersistent: true),
            Fault(.powerCut, at: 1),
        ])
    func operationKFails(name: String, fault: Fault) async throws {
        var k = 0
        var hasMetIt = true
        while hasMetIt {
            k += 1
            var run = SimulatedRun(
                try Self.workload(name), on: SimulatedStorage(seed: UInt64(k)))
            var fault = fault
            fault.number = k
            run.storage.inject(fault)
            let endedWell = await run.live()
            hasMetIt = run.storage.counts.total >= k
            run.storage.clearFaults()
            // A fault that nobody had to notice is no reason to stop.
            let stays = endedWell && k % 3 == 0 && !run.storage.isDown
            run.outage(stays ? nil : Self.ending(k))
            do {
                try await run.check()
                // And it goes on, as if nothing had been.
                #expect(await run.live(), "\(name), operation \(k), \(fault): life after it")
                run.outage(.dropUnsynced)
                try await run.check()
            } catch {
                Issue.record("\(name), operation \(k), \(fault): \(error)")
            }
        }
        #expect(k > 40, "\(name) has \(k) operations")
    }

    /// Every operation of the recovery from a life that ended somewhere fails, once or for good.
    @Test(arguments: names, [false, true])
    func operationKOfRecoveryFails(name: String, isPersistent: Bool) async throws {
        var interrupted = 0
        for life in RandomFaultTests.seeds(2).map({ Int($0) + 1 }) {
            var k = 0
            var succeeded = false
            while !succeeded {
                k += 1
                var run = SimulatedRun(
                    try Self.workload(name), on: SimulatedStorage(seed: UInt64(life)))
                run.storage.inject(Fault(.powerCut, at: 40 * life + 5))
                _ = await run.live()
                run.storage.clearFaults()
                run.outage(Self.ending(life))
                let problem = [Fault.Problem.inputOutput, .noSpace, .powerCut][k % 3]
                let before = run.storage.counts.total
                run.storage.inject(Fault(problem, at: k, isPersistent: isPersistent))
                let opened = await run.open()
                succeeded = opened && run.storage.counts.total - before < k
                interrupted += opened ? 0 : 1
                run.storage.clearFaults()
                run.outage(Self.ending(k))
                do {
                    try await run.check()
                    try await run.check()
                } catch {
                    Issue.record(
                        "\(name), life \(life), operation \(k), \(problem), \(isPersistent): \(error)"
                    )
                }
            }
        }
        #expect(interrupted > 20, "\(name): \(interrupted) recoveries were interrupted")
    }
}
