public import Cordwood
public import CordwoodSimulation

/// Writers set and delete keys of their own in a compacted topic, which is compacted beside them.
///
/// Kept: of each key the latest acknowledged record or a later one, at its offset, byte for byte;
/// a deleted key does not come back; offsets ascend.
public struct CompactWorkload: Workload {
    private let load: Load

    public init(_ load: Load) { self.load = load }

    public var name: String { "compact" }

    func partition(_ database: Database) async throws -> Partition {
        var log = LogConfiguration(segmentBytes: 32 << 10, maxMessageBytes: 20_000)
        log.cleanupPolicy = .compact
        log.deleteRetentionMilliseconds = 0
        return try await database.topic(name, TopicConfiguration(log: log))[0]
    }

    public func work(
        on database: Database, random: inout SplitMix64, journal: any Journal, numbers: Numbers
    ) async throws {
        let partition = try await partition(database)
        try await withWriters(load.writers, &random) { writer, random in
            for round in 0..<load.rounds {
                let batch = numbers.take(1 + random.below(4))
                let level = load.levels[random.below(load.levels.count)]
                journal.note(.send(batch, place: 0, writer: writer, transaction: 0))
                let receipt = try await partition.append(
                    batch.map { Content.keyedRecord($0, writer: writer) },
                    acknowledge: level.acknowledgement)
                journal.note(.acknowledged(batch, offset: receipt.firstOffset, level))
                if writer == 0, round % 8 == 7 { try await partition.compact() }
            }
        }
    }

    public func check(
        _ database: Database, _ history: History, journal: any Journal
    ) async throws {
        let partition = try await partition(database)
        var previous: Int64 = -1
        var found: [Int64: Int64] = [:]
        for try await record in partition.records(from: 0, following: false) {
            guard record.offset > previous else {
                throw Violation("offset \(record.offset) comes after \(previous)")
            }
            previous = record.offset
            let number = try Content.number(of: record) { history.facts[$0]?.writer }
            _ = try history.expect(number, at: record.offset, in: 0)
            found[number] = record.offset
        }
        try history.checkLatest(Array(found.keys), in: name)
        for (number, fact) in history.facts where fact.standing != .lost {
            if let offset = found[number] {
                if fact.standing != .kept { journal.note(.kept(number, offset: offset)) }
            } else {
                // Compacted away or never there: it does not come back.
                journal.note(.lost(number))
            }
        }
        let report = try await partition.verify()
        guard report.isSound else { throw Violation("\(name): \(report.damage)") }
    }
}

extension History {
    /// Holds the latest record found of each key against the latest that must be there. A deletion
    /// may be gone itself, with all before it.
    func checkLatest(_ found: [Int64], in place: String) throws {
        var latest: [Int: Int64] = [:]
        for number in found {
            let key = Content.key(number, writer: facts[number]!.writer)
            latest[key] = max(latest[key] ?? 0, number)
        }
        var required: [Int: Int64] = [:]
        var deleted: [Int: Int64] = [:]
        for (number, fact) in facts where fact.standing != .lost {
            let key = Content.key(number, writer: fact.writer)
            if fact.standing.isRequired { required[key] = max(required[key] ?? 0, number) }
            if Content.isDeletion(number) { deleted[key] = max(deleted[key] ?? 0, number) }
        }
        for (key, number) in required {
            let present = latest[key]
            if let present, present >= number { continue }
            if present == nil, let deleted = deleted[key], deleted >= number { continue }
            throw Violation(
                "\(place): key \(key) has \(present.map { "record \($0)" } ?? "nothing"), expected "
                    + "record \(number) or a later one")
        }
    }
}
