import Synchronization

/// An append at the door of its log, and the task that waits for it.
///
/// A task never enters the log's actor to append: it leaves its batches here and suspends, and the
/// log answers it directly. Inside an actor it would be woken on the global pool, brought to the
/// log's thread to leave the actor, and sent to the pool again: three changes of threads for one.
struct Arrival: Sendable {
    enum Answer: Sendable {
        case appended(Range<Int64>)
        case failed(LogError)
        /// Wait for room, then come again.
        case full
        /// The log has it already; wait until it is as safe as was asked for.
        case duplicate(Range<Int64>)
    }

    var batches: [EncodedBatch]
    var byteCount: Int
    var acknowledge: Acknowledgement
    /// How often the log had been cut when the caller decided on these records; nil where it does
    /// not matter.
    var truncations: Int?
    /// Room in the queue was given to it before.
    var holdsRoom: Bool
    var caller: CheckedContinuation<Answer, Never>
}

/// What waits for a group: an append that has its offsets.
struct AppendWaiter: Sendable {
    var offsets: Range<Int64>
    var caller: CheckedContinuation<Arrival.Answer, Never>
    /// When it came, where somebody observes the log.
    var since: Duration?

    func succeed() { caller.resume(returning: .appended(offsets)) }
    func fail(_ error: LogError) { caller.resume(returning: .failed(error)) }
}

/// The appends that no one has looked at yet, in the order in which they came. Any thread adds.
final class ArrivalQueue: Sendable {
    private let arrivals = Mutex<[Arrival]>([])

    /// True for the first one: its task has to send for the log.
    func add(_ arrival: Arrival) -> Bool {
        arrivals.withLock {
            $0.append(arrival)
            return $0.count == 1
        }
    }

    /// Takes all.
    func take() -> [Arrival] {
        arrivals.withLock {
            var taken: [Arrival] = []
            swap(&$0, &taken)
            return taken
        }
    }
}
