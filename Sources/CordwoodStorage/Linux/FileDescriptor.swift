import Glibc

/// An open file descriptor, closed with the last reference.
///
/// Operations in flight hold a reference each, so that the kernel never sees a number that was
/// closed and given to another file.
final class FileDescriptor: Sendable {
    let number: Int32

    /// Takes over an open descriptor.
    init(adopting number: Int32) {
        precondition(number >= 0, "not a file descriptor: \(number)")
        self.number = number
    }

    // The result of close is not looked at: Linux releases the number in every case, and data
    // whose fate matters was synced, which is where its errors are reported.
    deinit { _ = Glibc.close(number) }
}
