internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Divides work that takes long among threads that live as long as it does.
enum ParallelWork {
    /// Calls `body` for chunks of `range`, each of at most `chunk` numbers, from `threads` threads, of
    /// which the calling one is the first; returns when all are done. `thread` numbers the threads
    /// from 0. Which thread gets which chunk is not said.
    ///
    /// Where the system gives no more threads, those that there are do all the work.
    static func run(
        _ range: Range<Int>, chunk: Int, threads: Int,
        _ body: @Sendable @escaping (_ thread: Int, _ chunk: Range<Int>) -> Void
    ) {
        let chunks = (range.count + chunk - 1) / chunk
        let shared = Shared(range, chunk, body)
        var others: [pthread_t] = []
        for number in 1..<max(1, min(threads, chunks)) {
            let argument = Unmanaged.passRetained(Worker(shared, number))
            var thread = pthread_t()
            let failure = pthread_create(
                &thread, nil,
                { argument in
                    let worker = Unmanaged<Worker>.fromOpaque(argument!).takeRetainedValue()
                    worker.shared.work(worker.number)
                    return nil
                }, argument.toOpaque())
            guard failure == 0 else {
                argument.release()
                break
            }
            others.append(thread)
        }
        shared.work(0)
        for thread in others { pthread_join(thread, nil) }
    }

    private final class Worker: Sendable {
        let shared: Shared
        let number: Int

        init(_ shared: Shared, _ number: Int) {
            self.shared = shared
            self.number = number
        }
    }

    private final class Shared: Sendable {
        private let range: Range<Int>
        private let chunk: Int
        private let body: @Sendable (Int, Range<Int>) -> Void
        private let next: Atomic<Int>

        init(
            _ range: Range<Int>, _ chunk: Int, _ body: @Sendable @escaping (Int, Range<Int>) -> Void
        ) {
            self.range = range
            self.chunk = chunk
            self.body = body
            next = Atomic(range.lowerBound)
        }

        func work(_ thread: Int) {
            while true {
                let start = next.add(chunk, ordering: .relaxed).oldValue
                guard start < range.upperBound else { return }
                body(thread, start..<min(start + chunk, range.upperBound))
            }
        }
    }
}
