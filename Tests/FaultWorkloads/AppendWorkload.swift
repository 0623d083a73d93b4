public import Cordwood
public import CordwoodSimulation

/// Writers append batches to the partitions of a topic. With `rolls` the segments are small, and old
/// records are given up now and then.
///
/// Kept: every acknowledged record, at its offset, byte for byte; offsets without gaps; batches whole;
/// each writer's records in order and once; nothing that was not sent; a start that never goes back.
public struct AppendWorkload: Workload {
    private let load: Load
    private let rolls: Bool

    public init(_ load: Load, rolls: Bool) {
        self.load = load
        self.rolls = rolls
    }

    public var name: String { rolls ? "roll" : "append" }

    func topic(_ database: Database) async throws -> Topic {
        var log = LogConfiguration(maxMessageBytes: 20_000)
        if rolls {
            log.segmentBytes = 32 << 10
            log.indexIntervalBytes = 1024
        }
        return try await database.topic(name, TopicConfiguration(partitions: 2, log: log))
    }

    public func work(
        on database: Database, random: inout SplitMix64, journal: any Journal, numbers: Numbers
    ) async throws {
        let topic = try await topic(database)
        try await withWriters(load.writers, &random) { writer, random in
            for _ in 0..<load.rounds {
                let partition = topic.partitions[random.below(topic.partitions.count)]
                try await append(to: partition, by: writer, &random, journal, numbers)
                if rolls, random.below(8) == 0 { try await trim(partition, &random, journal) }
            }
        }
    }

    private func append(
        to partition: Partition, by writer: Int, _ random: inout SplitMix64,
        _ journal: any Journal, _ numbers: Numbers
    ) async throws {
        let batch = numbers.take(1 + random.below(4))
        let level = load.levels[random.below(load.levels.count)]
        journal.note(.send(batch, place: partition.number, writer: writer, transaction: 0))
        let receipt = try await partition.append(
            batch.map { Record(value: Content.value($0)) }, acknowledge: level.acknowledgement)
        journal.note(.acknowledged(batch, offset: receipt.firstOffset, level))
    }

    private func trim(
        _ partition: Partition, _ random: inout SplitMix64, _ journal: any Journal
    ) async throws {
        let (start, end) = (partition.startOffset, partition.durableOffset)
        if end <= start { return }
        let before = start + Int64(random.below(Int(end - start)))
        journal.note(.trim(place: partition.number, before: before))
        let new = try await partition.deleteRecords(before: before)
        journal.note(.trimmed(place: partition.number, start: new))
    }

    public func check(
        _ database: Database, _ history: History, journal: any Journal
    ) async throws {
        for partition in try await topic(database).partitions {
            try await check(partition, history, journal)
        }
    }

    private func check(
        _ partition: Partition, _ history: History, _ journal: any Journal
    ) async throws {
        let place = "\(name) \(partition.number)"
        let start = partition.startOffset
        guard start >= history.starts[partition.number] ?? 0,
            start <= history.trimsAsked[partition.number] ?? 0
        else {
            throw Violation(
                "\(place) begins at \(start), expected \(history.starts[partition.number] ?? 0) to "
                    + "\(history.trimsAsked[partition.number] ?? 0)")
        }
        journal.note(.trimmed(place: partition.number, start: start))
        var expected = start
        var last: Int64?
        var lastOfWriter: [Int: Int64] = [:]
        var found: [Int64: Int64] = [:]
        for try await record in partition.records(from: start, following: false) {
            guard record.offset == expected else {
                throw Violation("\(place): expected offset \(expected), found \(record.offset)")
            }
            expected += 1
            let number = try Content.number(of: record.value ?? [])
            let fact = try history.expect(number, at: record.offset, in: partition.number)
            if let last, history.facts[last]!.batch.upperBound - 1 != last, number != last + 1 {
                throw Violation("\(place): the batch of record \(last) is not whole")
            }
            guard lastOfWriter[fact.writer] ?? 0 < number else {
                throw Violation("\(place): record \(number) comes late or twice")
            }
            lastOfWriter[fact.writer] = number
            found[number] = record.offset
            last = number
        }
        guard expected == partition.endOffset,
            last.map({ history.facts[$0]!.batch.upperBound - 1 == $0 }) ?? true
        else { throw Violation("\(place) ends at \(expected), in mid-batch or early") }
        for (number, fact) in history.facts where fact.place == partition.number {
            if let offset = found[number] {
                if fact.standing != .kept { journal.note(.kept(number, offset: offset)) }
            } else if fact.standing.isRequired {
                // Given up, if it lies before the start.
                if fact.offset! >= start { throw Violation(lost: number, fact, place) }
            } else if fact.standing != .lost {
                journal.note(.lost(number))
            }
        }
        let report = try await partition.verify()
        guard report.isSound else { throw Violation("\(place): \(report.damage)") }
    }
}

extension History {
    /// The fact about a record that was found; throws where it must not be there, or not there.
    func expect(_ number: Int64, at offset: Int64, in place: Int) throws -> Fact {
        guard let fact = facts[number], fact.place == place else {
            throw Violation("record \(number) at \(place) \(offset) was never sent there")
        }
        if fact.standing == .lost {
            throw Violation("record \(number) at \(place) \(offset) was lost and came back")
        }
        if let known = fact.offset, known != offset {
            throw Violation("record \(number) of \(place) is at \(offset), not at \(known)")
        }
        return fact
    }
}

extension Violation {
    init(lost number: Int64, _ fact: History.Fact, _ place: String) {
        self.init(
            "\(place): record \(number) was acknowledged at offset "
                + "\(fact.offset.map { "\($0)" } ?? "?"), and is not there")
    }
}
