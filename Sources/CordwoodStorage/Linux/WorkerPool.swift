/// A fixed number of threads that run work in the order it came.
///
/// When the pool is released its threads finish the queue and end.
final class WorkerPool: Sendable {
    typealias Work = @Sendable () -> Void

    private struct Queue {
        var work = FIFO<Work>()
        var isStopping = false
    }

    private let queue = Condition(Queue())
    let threadCount: Int

    /// Starts the threads, or none of them where the system has too few to give.
    init(named name: StaticString, threadCount: Int) throws(Errno) {
        precondition(threadCount > 0, "a pool needs a thread")
        self.threadCount = threadCount
        for _ in 0..<threadCount {
            do {
                // A thread holds the queue, never the pool: that is how the pool can be released.
                try SystemThread.start(named: name) { [queue] in Self.serve(queue) }
            } catch {
                queue.updateAndWakeAll { $0.isStopping = true }
                throw error
            }
        }
    }

    deinit { queue.updateAndWakeAll { $0.isStopping = true } }

    /// Adds work that reports by itself. Never blocks.
    func submit(_ work: @escaping Work) {
        queue.update {
            $0.work.append(work)
            return true
        }
    }

    /// Runs work on a thread of the pool and returns its result on the caller's executor.
    func run<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
            submit {
                do throws(Failure) {
                    continuation.resume(returning: .success(try work()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    private static func serve(_ queue: Condition<Queue>) {
        enum Next {
            case work(Work)
            case end
        }
        while true {
            let next: Next = queue.wait { queue in
                if let work = queue.work.popFirst() { return .work(work) }
                return queue.isStopping ? .end : nil
            }
            switch next {
            case .work(let work): work()
            case .end: return
            }
        }
    }
}
