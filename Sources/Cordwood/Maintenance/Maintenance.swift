import CordwoodLog
import CordwoodStorage
import Synchronization

/// What the maintenance of a database has done so far.
public struct MaintenanceStatus: Sendable {
    /// How often all logs were gone through; their compaction, which may take hours, is not awaited.
    public var passes = 0
    /// What failed in the last pass and the last round of compaction, a sentence each; the other
    /// logs were maintained all the same.
    public var failures: [String] = []

    public init() {}
}

/// Maintains a database's logs in the background, now and then, by two tasks that do not wait for
/// each other: one rolls, deletes and forgets, the other compacts. Compaction is throttled, and
/// retention must not wait behind it while a disk fills up.
final class Maintenance: Sendable {
    typealias ExpireOffsets = @Sendable (_ now: Int64) async throws(DatabaseError) -> Void

    private struct State {
        var passes = 0
        var upkeepFailures: [String] = []
        var compactionFailures: [String] = []
        var tasks: [Task<Void, Never>] = []
    }

    private let compaction: CompactionOptions
    private let state = Mutex(State())

    var currentStatus: MaintenanceStatus {
        state.withLock { state in
            var status = MaintenanceStatus()
            status.passes = state.passes
            status.failures = state.upkeepFailures + state.compactionFailures
            return status
        }
    }

    init(_ compaction: CompactionOptions) { self.compaction = compaction }

    deinit { state.withLock { for task in $0.tasks { task.cancel() } } }

    /// Begins; `logs` is nil once the database is gone.
    func start(
        every milliseconds: Int, clock: any WallClock,
        expiringOffsets: @escaping ExpireOffsets, logs: @escaping @Sendable () async -> [any Log]?
    ) {
        let begin = { (work: @escaping @Sendable (Maintenance, [any Log], Int64) async -> Void) in
            Task { [weak self] in
                while !Task.isCancelled {
                    do { try await Task.sleep(for: .milliseconds(milliseconds)) } catch { return }
                    guard let logs = await logs(), let self else { return }
                    await work(self, logs, clock.millisecondsNow())
                }
            }
        }
        let upkeep = begin { maintenance, logs, now in
            await maintenance.upkeep(of: logs, now: now, expiringOffsets: expiringOffsets)
        }
        let compaction = begin { maintenance, logs, now in
            await maintenance.compact(logs, now: now)
        }
        state.withLock { $0.tasks += [upkeep, compaction] }
    }

    /// Goes through all logs once, and through those that are due for compaction.
    func pass(over logs: [any Log], now: Int64, expiringOffsets: ExpireOffsets) async {
        await upkeep(of: logs, now: now, expiringOffsets: expiringOffsets)
        await compact(logs, now: now)
    }

    /// Gives up the offsets of consumer groups first, so that compaction finds their deletions.
    private func upkeep(
        of logs: [any Log], now: Int64, expiringOffsets: ExpireOffsets
    ) async {
        var failures: [String] = []
        do throws(DatabaseError) { try await expiringOffsets(now) } catch {
            if error.code != .closed { failures.append("expiry of offsets: \(error)") }
        }
        guard await run(MaintenanceTask.upkeep, on: logs, now: now, &failures) else { return }
        state.withLock { state in
            state.passes += 1
            state.upkeepFailures = failures
        }
    }

    private func compact(_ logs: [any Log], now: Int64) async {
        var failures: [String] = []
        let task = MaintenanceTask.compaction(compaction)
        guard await run([task], on: logs, now: now, &failures) else { return }
        state.withLock { $0.compactionFailures = failures }
    }

    /// A log that fails does not stop the others. Stops between two steps when the task is
    /// cancelled; says whether it came to the end.
    private func run(
        _ tasks: [MaintenanceTask], on logs: [any Log], now: Int64, _ failures: inout [String]
    ) async -> Bool {
        for log in logs {
            for task in tasks {
                if Task.isCancelled { return false }
                do throws(LogError) { try await task.run(log, now) } catch {
                    if error.code != .closed { failures.append("\(task.name): \(error)") }
                }
            }
        }
        return true
    }

    /// Ends the tasks and waits for what they are doing.
    func stop() async {
        let tasks = state.withLock { state in
            defer { state.tasks = [] }
            return state.tasks
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }
}
