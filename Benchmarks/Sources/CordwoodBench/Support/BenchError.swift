import Glibc

/// Why a measurement could not be made, in a sentence.
struct BenchError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    /// A system call that failed just now.
    static func system(_ call: String, _ subject: String) -> BenchError {
        BenchError("\(call) \(subject): \(String(cString: strerror(errno)))")
    }
}
