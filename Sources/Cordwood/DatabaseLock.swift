import CordwoodStorage
import Synchronization

/// The lock on a database's folder, shared by all who write there by themselves: nobody else opens the
/// database before each of them has been released, or the lock was let go of.
final class DatabaseLock: Sendable {
    private let lock: Mutex<(any StorageLock)?>

    init(_ lock: any StorageLock) { self.lock = Mutex(lock) }

    var isHeld: Bool { lock.withLock { $0 != nil } }

    func letGo() { lock.withLock { $0 = nil } }
}
