import CLiburing
import Glibc

extension FileOperation {
    /// The longest chain run as one; there is no queue to fill, so only memory bounds it.
    private var blockingChainLimit: Int { 64 }

    /// Takes the operation to its end on the calling thread, by plain system calls, with the rules
    /// of a ring: after a step that fails or is cut short, the rest of its chain is cancelled.
    func runBlocking() {
        repeat {
            var isBroken = false
            for (index, step) in nextChain(limit: blockingChainLimit).enumerated() {
                guard !isBroken else {
                    record(step: index, result: -Int(ECANCELED))
                    continue
                }
                let (result, isFull) = step.runBlocking(on: descriptor.number)
                record(step: index, result: result)
                isBroken = !isFull
            }
        } while !endChain()
    }
}

extension FileStep {
    /// Makes the step's system call. Returns the bytes moved or a negated error number, and
    /// whether it did all it was asked for.
    func runBlocking(on descriptor: Int32) -> (result: Int, isFull: Bool) {
        switch self {
        case .write(let vectors, let count, let position):
            let result = pwritev(descriptor, vectors, Int32(count), off_t(position))
            guard result >= 0 else { return (-Int(errno), false) }
            let asked = UnsafeBufferPointer(start: vectors, count: count).reduce(0) {
                $0 + $1.iov_len
            }
            return (result, result == asked)
        case .read(let base, let count, let position):
            let result = pread(descriptor, base, count, off_t(position))
            return result >= 0 ? (result, result == count) : (-Int(errno), false)
        case .sync:
            let result = fdatasync(descriptor)
            return result == 0 ? (0, true) : (-Int(errno), false)
        }
    }
}
