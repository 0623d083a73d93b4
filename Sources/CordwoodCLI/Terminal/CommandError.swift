/// How the command ends, as the shell sees it. `README.md` has the same list.
enum ExitStatus {
    static let success: Int32 = 0
    static let failure: Int32 = 1
    /// `verify` or `inspect` found a checksum that does not hold.
    static let damageFound: Int32 = 2
    /// The arguments make no sense. ArgumentParser uses the same number.
    static let usage: Int32 = 64
    /// Ended by a signal, as shells count it: 130 for SIGINT, 143 for SIGTERM.
    static func signal(_ number: Int32) -> Int32 { 128 + number }
}

/// Ends the command with a sentence on standard error and an exit status.
struct CommandError: Error, CustomStringConvertible {
    /// What failed, with what was expected and found; nil when all has been said.
    var message: String?
    var status: Int32

    init(_ message: String?, status: Int32 = ExitStatus.failure) {
        self.message = message
        self.status = status
    }

    var description: String { message ?? "ended with status \(status)" }
}
