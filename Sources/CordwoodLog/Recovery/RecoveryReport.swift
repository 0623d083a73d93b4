/// What opening a log found and did. Nothing that was acknowledged as durable is ever cut; what was
/// cut or could not be kept is listed here.
public struct RecoveryReport: Sendable, Hashable, CustomStringConvertible {
    /// Bytes that were read and verified.
    public var scannedBytes = 0
    /// Bytes of torn writes, never acknowledged as durable, that were cut off ends of files.
    public var cutBytes = 0
    /// Damage below the durable watermark: not served, reported by reads, stepped around.
    public var quarantined: [Damage] = []
    /// Other things worth knowing, a sentence each.
    public var notes: [String] = []

    public init() {}

    public static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.scannedBytes += b.scannedBytes
        sum.cutBytes += b.cutBytes
        sum.quarantined += b.quarantined
        sum.notes += b.notes
        return sum
    }

    public var description: String {
        var parts = ["scanned \(scannedBytes) bytes"]
        if cutBytes > 0 { parts.append("cut \(cutBytes) bytes of a torn write") }
        parts += quarantined.map { "quarantined \($0)" }
        parts += notes
        return parts.joined(separator: "; ")
    }
}

/// A damaged place in a log.
public struct Damage: Sendable, Hashable, CustomStringConvertible {
    /// The file, relative to the storage's root.
    public var path: String
    /// The offsets that cannot be read; empty where no record is lost, as in an index.
    public var offsets: Range<Int64>
    public var problem: String

    public init(path: String, offsets: Range<Int64>, problem: String) {
        self.path = path
        self.offsets = offsets
        self.problem = problem
    }

    public var description: String {
        offsets.isEmpty
            ? "\(path): \(problem)"
            : "\(path), offsets \(offsets.lowerBound) to \(offsets.upperBound - 1): \(problem)"
    }
}
