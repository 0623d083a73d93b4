/// A read into memory of its own, which becomes the block it returns.
///
/// `@unchecked Sendable`: it is built by the caller, handed to one runner, and touched by no one
/// else until it has resumed its waiter.
final class ReadOperation: FileOperation, @unchecked Sendable {
    typealias Waiter = CompletionGate<MemoryBlock>

    let descriptor: FileDescriptor
    private let path: StoragePath
    private let waiter: Waiter
    private let position: Int

    /// Nil once the memory belongs to the block that was returned.
    private var memory: UnsafeMutableRawPointer?
    private var progress: ReadProgress
    private var outcome = ReadProgress.Outcome.again

    /// `count` is above zero.
    init(
        at position: Int, count: Int, descriptor: FileDescriptor, path: StoragePath, waiter: Waiter
    ) {
        precondition(position >= 0, "a read cannot begin at \(position)")
        self.descriptor = descriptor
        self.path = path
        self.waiter = waiter
        self.position = position
        memory = .allocate(byteCount: count, alignment: MemoryBlock.alignment)
        progress = ReadProgress(count: count)
    }

    deinit { memory?.deallocate() }

    /// A cold file may keep it waiting.
    var quickByteCount: Int? { nil }

    var isBackground: Bool { false }

    func nextChain(limit: Int) -> [FileStep] {
        guard let memory else { preconditionFailure("a finished read was continued") }
        return [
            .read(
                into: memory + progress.filled, count: progress.nextCount,
                position: position + progress.filled)
        ]
    }

    func record(step: Int, result: Int) { outcome = progress.record(result) }

    /// A read is a chain of one step, which cannot be split.
    func markSplit() {}

    func endChain() -> Bool {
        switch outcome {
        case .again: return false
        case .done(let count):
            let block = MemoryBlock(adopting: memory.take()!, count: count) { base, _ in
                base.deallocate()
            }
            waiter.open(.success(block))
            return true
        case .failed(let number):
            waiter.open(
                .failure(StorageError(errno: number, operation: "read", path: path)))
            return true
        }
    }
}
