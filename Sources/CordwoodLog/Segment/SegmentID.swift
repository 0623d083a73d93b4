/// Names a segment's files: the offset it begins at, and which rewriting of it this is.
///
/// A segment that was appended to has generation 0; one that compaction wrote, or that begins where
/// one was cut away, has a number that no file of that offset had before.
struct SegmentID: Hashable, Comparable, Sendable, CustomStringConvertible {
    var baseOffset: Int64
    var generation: UInt32 = 0

    /// The files' name without suffix: the base offset in 20 digits, so that names sort as numbers,
    /// and the generation where there is one.
    var description: String {
        let digits = String(baseOffset)
        let stem = String(repeating: "0", count: max(0, 20 - digits.count)) + digits
        return generation == 0 ? stem : "\(stem)-\(generation)"
    }

    /// Reads a name; nil unless it is exactly what ``description`` writes.
    init?(name: some StringProtocol) {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let baseOffset = Int64(parts[0]), baseOffset >= 0
        else { return nil }
        var generation: UInt32 = 0
        if parts.count == 2 {
            guard let number = UInt32(parts[1]) else { return nil }
            generation = number
        }
        self.init(baseOffset: baseOffset, generation: generation)
        guard description == name else { return nil }
    }

    init(baseOffset: Int64, generation: UInt32 = 0) {
        self.baseOffset = baseOffset
        self.generation = generation
    }

    static func < (a: SegmentID, b: SegmentID) -> Bool {
        (a.baseOffset, a.generation) < (b.baseOffset, b.generation)
    }
}
