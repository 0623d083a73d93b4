/// Something that a workload is about to do, or was told, or that a check found. Kept where the fault
/// that is to come cannot reach, and folded into a ``History``.
///
/// A line of text each: a word and numbers. Every record, point or deletion of a run has a number of its
/// own, never used again, and its contents follow from the number (``Content``).
public enum Event: Sendable, Equatable {
    /// Records `numbers` are about to be appended to a place (a partition, a topic) by one writer,
    /// which waits for the answer before it sends more; `transaction` is 0 outside of one.
    case send(Range<Int64>, place: Int, writer: Int, transaction: Int64)
    /// They are acknowledged, at offsets from `offset` on.
    case acknowledged(Range<Int64>, offset: Int64, Level)
    /// Records before an offset are about to be given up.
    case trim(place: Int, before: Int64)
    /// They are given up: the log began here when the call returned, or when it was looked at.
    case trimmed(place: Int, start: Int64)
    /// A transaction is about to end.
    case ending(Int64, commits: Bool)
    /// It has ended so.
    case ended(Int64, commits: Bool)
    /// What came between this life and the next.
    case outage(Outage)
    /// A check found this record, whose fate was open, at this offset: it stays.
    case kept(Int64, offset: Int64)
    /// A check did not find it: it never comes back.
    case lost(Int64)

    /// What an acknowledgement was asked to wait for.
    public enum Level: Int64, Sendable, Comparable {
        case memory, written, durable

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    /// How a life ended.
    public enum Outage: Int64, Sendable, CaseIterable {
        /// Closed, without an error.
        case closed
        /// The process died, the kernel lived.
        case killed
        /// The kernel's memory is gone, too.
        case powerCut

        /// The acknowledgements that hold across it.
        public var holds: Level {
            switch self {
            case .closed: .memory
            case .killed: .written
            case .powerCut: .durable
            }
        }
    }
}

extension Event: LosslessStringConvertible {
    public var description: String {
        let (word, numbers): (String, [Int64]) =
            switch self {
            case .send(let records, let place, let writer, let transaction):
                (
                    "send",
                    [
                        records.lowerBound, records.upperBound, Int64(place), Int64(writer),
                        transaction,
                    ]
                )
            case .acknowledged(let records, let offset, let level):
                ("ack", [records.lowerBound, records.upperBound, offset, level.rawValue])
            case .trim(let place, let before): ("trim", [Int64(place), before])
            case .trimmed(let place, let start): ("trimmed", [Int64(place), start])
            case .ending(let transaction, let commits): ("ending", [transaction, commits ? 1 : 0])
            case .ended(let transaction, let commits): ("ended", [transaction, commits ? 1 : 0])
            case .outage(let outage): ("outage", [outage.rawValue])
            case .kept(let number, let offset): ("kept", [number, offset])
            case .lost(let number): ("lost", [number])
            }
        return word + numbers.map { " \($0)" }.joined()
    }

    /// Nil for a line that is not whole: the process died while it wrote it.
    public init?(_ description: String) {
        let words = description.split(separator: " ")
        let numbers = words.dropFirst().compactMap { Int64($0) }
        guard let word = words.first, numbers.count == words.count - 1 else { return nil }
        switch (word, numbers.count) {
        case ("send", 5) where numbers[0] < numbers[1]:
            self = .send(
                numbers[0]..<numbers[1], place: Int(numbers[2]), writer: Int(numbers[3]),
                transaction: numbers[4])
        case ("ack", 4) where numbers[0] < numbers[1]:
            guard let level = Level(rawValue: numbers[3]) else { return nil }
            self = .acknowledged(numbers[0]..<numbers[1], offset: numbers[2], level)
        case ("trim", 2): self = .trim(place: Int(numbers[0]), before: numbers[1])
        case ("trimmed", 2): self = .trimmed(place: Int(numbers[0]), start: numbers[1])
        case ("ending", 2): self = .ending(numbers[0], commits: numbers[1] == 1)
        case ("ended", 2): self = .ended(numbers[0], commits: numbers[1] == 1)
        case ("outage", 1):
            guard let outage = Outage(rawValue: numbers[0]) else { return nil }
            self = .outage(outage)
        case ("kept", 2): self = .kept(numbers[0], offset: numbers[1])
        case ("lost", 1): self = .lost(numbers[0])
        default: return nil
        }
    }
}
