import CLiburing
import Glibc

extension StorageError {
    /// The error that stands for the kernel's number `number`.
    ///
    /// `.notFound`, `.exists`, `.noSpace` and `.wrongKind` (a link, a directory or a special file
    /// where a regular file is expected, or the reverse) have codes of their own; every other
    /// number is `.failed`. The detail begins with the system's own words.
    package init(
        errno number: Int32, operation: String, path: StoragePath, detail: String = ""
    ) {
        var text = Self.systemMessage(number)
        if !detail.isEmpty { text += "; \(detail)" }
        self.init(
            Self.code(of: number), operation: operation, path: path.description, errno: number,
            detail: text)
    }

    private static func code(of number: Int32) -> Code {
        switch number {
        case ENOENT: .notFound
        case EEXIST: .exists
        case ENOTEMPTY: .notEmpty
        case ENOSPC, EDQUOT: .noSpace
        // ENXIO is how the kernel refuses to open a FIFO without a reader, or a socket.
        case ELOOP, ENOTDIR, EISDIR, ENXIO: .wrongKind
        default: .failed
        }
    }

    private static func systemMessage(_ number: Int32) -> String {
        String(cString: cordwood_error_words(number))
    }
}

/// How often an interrupted system call is made again before the interruption is reported.
let maximumInterruptions = 64

/// Makes a system call, again while it is interrupted, and returns its result or its error number
/// (from `errno`, read before anything else can change it).
func systemCall<Number: FixedWidthInteger & SignedInteger>(
    _ call: () -> Number
) -> Result<Number, Errno> {
    for _ in 0..<maximumInterruptions {
        let result = call()
        if result >= 0 { return .success(result) }
        let number = errno
        if number != EINTR { return .failure(Errno(number)) }
    }
    return .failure(Errno(EINTR))
}

/// An error number of the kernel, before the file it belongs to is known.
struct Errno: Error {
    var number: Int32

    init(_ number: Int32) { self.number = number }

    func on(_ path: StoragePath, _ operation: String, detail: String = "") -> StorageError {
        StorageError(errno: number, operation: operation, path: path, detail: detail)
    }
}
