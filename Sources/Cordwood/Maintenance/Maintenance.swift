import CordwoodLog
import CordwoodStorage
import Synchronization

/// What the maintenance of a database has done so far.
public struct MaintenanceStatus: Sendable {
    /// How often all logs were gone through.
    public var passes = 0
    /// What failed in the last pass, a sentence each; the other logs were maintained all the same.
    public var failures: [String] = []

    public init() {}
}

/// Goes through a database's logs one by one, now and then, in one background task: rolls, deletes,
/// compacts, forgets. Gives up the offsets of consumer groups before that, so that compaction finds
/// their deletions.
final class Maintenance: Sendable {
    typealias ExpireOffsets = @Sendable (_ now: Int64) async throws(DatabaseError) -> Void

    private let tasks: [MaintenanceTask]
    private let status = Mutex(MaintenanceStatus())
    private let task = Mutex<Task<Void, Never>?>(nil)

    var currentStatus: MaintenanceStatus { status.withLock { $0 } }

    init(_ compaction: CompactionOptions) { tasks = MaintenanceTask.all(compaction) }

    deinit { task.withLock { $0 }?.cancel() }

    /// Begins; `logs` is nil once the database is gone.
    func start(
        every milliseconds: Int, clock: any WallClock,
        expiringOffsets: @escaping ExpireOffsets, logs: @escaping @Sendable () async -> [any Log]?
    ) {
        let work = Task { [weak self] in
            while !Task.isCancelled {
                do { try await Task.sleep(for: .milliseconds(milliseconds)) } catch { return }
                guard let logs = await logs(), let self else { return }
                await pass(
                    over: logs, now: clock.millisecondsNow(), expiringOffsets: expiringOffsets)
            }
        }
        task.withLock { $0 = work }
    }

    /// Goes through all logs once; stops between two steps when the task is cancelled.
    func pass(over logs: [any Log], now: Int64, expiringOffsets: ExpireOffsets) async {
        var failures: [String] = []
        do throws(DatabaseError) { try await expiringOffsets(now) } catch {
            if error.code != .closed { failures.append("expiry of offsets: \(error)") }
        }
        for log in logs {
            for task in tasks {
                if Task.isCancelled { return }
                do throws(LogError) { try await task.run(log, now) } catch {
                    if error.code != .closed { failures.append("\(task.name): \(error)") }
                }
            }
        }
        status.withLock { status in
            status.passes += 1
            status.failures = failures
        }
    }

    /// Ends the task and waits for what it is doing.
    func stop() async {
        let work = task.withLock { task in
            defer { task = nil }
            return task
        }
        work?.cancel()
        await work?.value
    }
}
