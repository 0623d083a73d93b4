/// What is known of every record that was ever sent: the oracle's memory, folded from ``Event``s.
public struct History: Sendable {
    /// What must be, may be or must not be found of a record.
    public enum Standing: Sendable, Equatable {
        /// Sent, and not answered, or answered with an error: there or not.
        case open
        /// Acknowledged, and safe from every outage since then; not yet found by a check. What was
        /// only written may still be lost by a power cut that follows the death of its process.
        case acknowledged(Event.Level)
        /// A check has found it, or it was made durable: it must be there from now on.
        case kept
        /// It was not there after an outage: it must never be there again.
        case lost

        /// Whether it must be there now, after the last outage.
        var isRequired: Bool {
            switch self {
            case .acknowledged, .kept: true
            case .open, .lost: false
            }
        }
    }

    public struct Fact: Sendable {
        public var place: Int
        public var writer: Int
        public var transaction: Int64
        /// The numbers of all records that were sent with it.
        public var batch: Range<Int64>
        /// Where it lies, once that is known.
        public var offset: Int64?
        public var standing: Standing
    }

    /// How a transaction was to end, and whether that was acknowledged.
    public struct Ending: Sendable {
        public var commits: Bool
        public var isKnown: Bool
        /// It has outlived an outage.
        var isCounted = false
    }

    public private(set) var facts: [Int64: Fact] = [:]
    /// The transactions that were about to end.
    public private(set) var endings: [Int64: Ending] = [:]
    /// By place: the highest offset that records were asked to be given up before.
    public private(set) var trimsAsked: [Int: Int64] = [:]
    /// By place: where the log began when somebody was told.
    public private(set) var starts: [Int: Int64] = [:]
    /// The acknowledged records, and ends of transactions, that outlived an outage that they had to.
    public private(set) var survivors = 0
    private var highest: Int64 = 0

    public init() {}

    public init(_ events: some Sequence<Event>) {
        for event in events { add(event) }
    }

    /// No record or transaction has this number yet, nor any above it.
    public var nextNumber: Int64 { highest + 1 }

    public mutating func add(_ event: Event) {
        switch event {
        case .send(let numbers, let place, let writer, let transaction):
            for number in numbers {
                facts[number] = Fact(
                    place: place, writer: writer, transaction: transaction, batch: numbers,
                    standing: .open)
            }
            highest = max(highest, numbers.upperBound - 1, transaction)
        case .acknowledged(let numbers, let offset, let level):
            for number in numbers {
                facts[number]?.offset = offset + number - numbers.lowerBound
                facts[number]?.standing = .acknowledged(level)
            }
        case .trim(let place, let before):
            trimsAsked[place] = max(trimsAsked[place] ?? 0, before)
        case .trimmed(let place, let start): starts[place] = max(starts[place] ?? 0, start)
        case .ending(let transaction, let commits):
            endings[transaction] = Ending(commits: commits, isKnown: false)
            highest = max(highest, transaction)
        case .ended(let transaction, let commits):
            endings[transaction] = Ending(commits: commits, isKnown: true)
        case .outage(let outage): survive(outage)
        case .kept(let number, let offset):
            facts[number]?.offset = offset
            facts[number]?.standing = .kept
        case .lost(let number): facts[number]?.standing = .lost
        }
    }

    private mutating func survive(_ outage: Event.Outage) {
        for (transaction, ending) in endings where ending.isKnown && !ending.isCounted {
            endings[transaction]?.isCounted = true
            survivors += 1
        }
        for (number, fact) in facts {
            guard case .acknowledged(let level) = fact.standing else { continue }
            if level >= outage.holds {
                if level == .durable || outage == .closed { facts[number]?.standing = .kept }
                survivors += 1
            } else {
                // It may be gone, and then others may be in its place.
                facts[number]?.standing = .open
            }
        }
    }
}

/// A promise that was not kept.
public struct Violation: Error, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}
