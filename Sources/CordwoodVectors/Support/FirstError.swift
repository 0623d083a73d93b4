internal import Synchronization

/// An error of one of several threads, for the one that waits for them.
final class FirstError: Sendable {
    private let error = Mutex<VectorError?>(nil)

    func note(_ error: VectorError) {
        self.error.withLock { $0 = $0 ?? error }
    }

    func check() throws(VectorError) {
        if let error = error.withLock({ $0 }) { throw error }
    }
}
