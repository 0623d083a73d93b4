public import Cordwood
public import CordwoodSimulation

/// Producers move records in pairs: each transaction appends to two topics and is committed or aborted.
///
/// Kept: a transaction that was acknowledged as committed is seen whole in both topics; one that was
/// aborted is seen in neither; one whose end is not known is one of the two, for good. None stays open.
public struct TransactionWorkload: Workload {
    private let load: Load

    public init(_ load: Load) { self.load = load }

    public var name: String { "transaction" }

    func topics(_ database: Database) async throws -> [Topic] {
        let log = LogConfiguration(segmentBytes: 64 << 10, maxMessageBytes: 20_000)
        return [
            try await database.topic("debits", TopicConfiguration(log: log)),
            try await database.topic("credits", TopicConfiguration(log: log)),
        ]
    }

    public func work(
        on database: Database, random: inout SplitMix64, journal: any Journal, numbers: Numbers
    ) async throws {
        let topics = try await topics(database)
        try await withWriters(load.writers, &random) { writer, random in
            let producer = try await database.producer(transactionalID: "writer-\(writer)")
            for _ in 0..<load.rounds {
                let transaction = numbers.take().lowerBound
                try await producer.begin()
                for (place, topic) in topics.enumerated() {
                    let batch = numbers.take(1 + random.below(3))
                    journal.note(
                        .send(batch, place: place, writer: writer, transaction: transaction))
                    try await producer.append(
                        batch.map { Record(value: Content.value($0)) }, to: topic)
                }
                let commits = random.below(4) > 0
                journal.note(.ending(transaction, commits: commits))
                if commits { try await producer.commit() } else { try await producer.abort() }
                journal.note(.ended(transaction, commits: commits))
            }
        }
    }

    public func check(
        _ database: Database, _ history: History, journal: any Journal
    ) async throws {
        var found: [Int64: Int64] = [:]
        for (place, topic) in try await topics(database).enumerated() {
            let partition = topic[0]
            guard partition.lastStableOffset == partition.endOffset else {
                throw Violation("\(topic.name): a transaction is open after recovery")
            }
            let records = partition.records(from: 0, following: false, isolation: .committed)
            for try await record in records {
                let number = try Content.number(of: record.value ?? [])
                _ = try history.expect(number, at: record.offset, in: place)
                guard found.updateValue(record.offset, forKey: number) == nil else {
                    throw Violation("\(topic.name): record \(number) is there twice")
                }
            }
            let report = try await partition.verify()
            guard report.isSound else { throw Violation("\(topic.name): \(report.damage)") }
        }
        let transactions = Dictionary(grouping: history.facts.keys) {
            history.facts[$0]!.transaction
        }
        for (transaction, numbers) in transactions {
            let seen = numbers.count { found[$0] != nil }
            guard seen == 0 || seen == numbers.count else {
                throw Violation(
                    "transaction \(transaction): \(seen) of \(numbers.count) records are seen")
            }
            let ending = history.endings[transaction]
            // What was never to be committed must not be; what was acknowledged must.
            let mustBeSeen = ending.map { $0.commits && $0.isKnown } ?? false
            let mayBeSeen = ending?.commits ?? false
            if mustBeSeen && seen == 0 || !mayBeSeen && seen > 0 {
                throw Violation(
                    "transaction \(transaction), \(ending.map { "\($0)" } ?? "never ended"): "
                        + "\(seen) of \(numbers.count) records are seen")
            }
            for number in numbers {
                let standing = history.facts[number]!.standing
                if let offset = found[number] {
                    if standing != .kept { journal.note(.kept(number, offset: offset)) }
                } else if standing.isRequired {
                    throw Violation(lost: number, history.facts[number]!, "transaction")
                } else if standing != .lost {
                    journal.note(.lost(number))
                }
            }
        }
    }
}
