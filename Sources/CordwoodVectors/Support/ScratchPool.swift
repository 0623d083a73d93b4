internal import Synchronization

/// The memory of searches that nobody has at the moment: a search takes what an earlier one gave back.
///
/// All members may be called from any thread at any time.
final class ScratchPool<Scratch: Sendable>: Sendable {
    private let idle = Mutex<[Scratch]>([])
    /// Orders what one search did to its memory before what the next one does. So does the mutex, but
    /// by a futex, of which the thread sanitizer does not know.
    private let returned = Atomic(0)

    /// What nobody else has from now on; nil where all is taken.
    func take() -> Scratch? {
        let scratch = idle.withLock { $0.popLast() }
        _ = returned.load(ordering: .acquiring)
        return scratch
    }

    func giveBack(_ scratch: Scratch) {
        returned.add(1, ordering: .releasing)
        idle.withLock { $0.append(scratch) }
    }
}
