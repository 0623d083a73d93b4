public import Cordwood

/// What is demanded of a database whose files were damaged: it serves less, and never anything else,
/// and it says so.
public protocol DamageCheck {
    /// Reads all that can be read, around damage. Returns what was reported damaged. Throws
    /// ``Violation`` for a record that was never sent, and for one that is missing and not reported;
    /// or the error with which the database refuses.
    func checkDamaged(_ database: Database, _ history: History) async throws -> [String]
}

extension Partition {
    /// Every record that can be read, in order; returns the ranges that were reported damaged.
    func readAroundDamage(_ body: (StoredRecord) throws -> Void) async throws -> [Range<Int64>] {
        var damaged: [Range<Int64>] = []
        var next = startOffset
        while next < endOffset {
            do {
                for try await record in records(from: next, following: false) {
                    guard record.offset >= next else {
                        throw Violation("offset \(record.offset) comes behind \(next)")
                    }
                    try body(record)
                    next = record.offset + 1
                }
                break
            } catch let error as LogError where error.code == .damaged {
                let resume = error.resumeOffset ?? endOffset
                guard resume > next else {
                    throw Violation(
                        "reading is to go on at \(resume), and was at \(next): \(error)")
                }
                damaged.append(next..<resume)
                next = resume
            }
        }
        return damaged
    }
}

extension AppendWorkload: DamageCheck {
    public func checkDamaged(_ database: Database, _ history: History) async throws -> [String] {
        var reports = database.recovery.damageReports
        for partition in try await topic(database).partitions {
            var found: Set<Int64> = []
            let damaged = try await partition.readAroundDamage { record in
                let number = try Content.number(of: record.value ?? [])
                _ = try history.expect(number, at: record.offset, in: partition.number)
                found.insert(number)
            }
            reports += damaged.map { "\(name) \(partition.number): \($0)" }
            // The last group of a log that was not closed may be taken for one that tore, and the end
            // of a log is then where it was cut.
            let recovery = database.recovery.damageReports
            for (number, fact) in history.facts
            where fact.place == partition.number && fact.standing.isRequired {
                let offset = fact.offset!
                if found.contains(number) || offset < partition.startOffset { continue }
                if damaged.contains(where: { $0.contains(offset) }) { continue }
                if offset >= partition.endOffset, !recovery.isEmpty { continue }
                throw Violation(lost: number, fact, "\(name) \(partition.number)")
            }
        }
        return reports
    }
}

extension CompactWorkload: DamageCheck {
    public func checkDamaged(_ database: Database, _ history: History) async throws -> [String] {
        let partition = try await partition(database)
        let damaged = try await partition.readAroundDamage { record in
            let number = try Content.number(of: record) { history.facts[$0]?.writer }
            _ = try history.expect(number, at: record.offset, in: 0)
        }
        return database.recovery.damageReports + damaged.map { "\(name): \($0)" }
    }
}

extension TransactionWorkload: DamageCheck {
    public func checkDamaged(_ database: Database, _ history: History) async throws -> [String] {
        var reports: [String] = []
        for (place, topic) in try await topics(database).enumerated() {
            let damaged = try await topic[0].readAroundDamage { record in
                let number = try Content.number(of: record.value ?? [])
                _ = try history.expect(number, at: record.offset, in: place)
            }
            reports += damaged.map { "\(topic.name): \($0)" }
        }
        return database.recovery.damageReports + reports
    }
}

extension CollectionWorkload: DamageCheck {
    public func checkDamaged(_ database: Database, _ history: History) async throws -> [String] {
        let collection = try await collection(database)
        let reports = database.recovery.damageReports
        guard reports.isEmpty else {
            _ = try await points(of: collection, history)
            return reports
        }
        // Nothing that holds records is damaged. An index on disk may be still: it is read when somebody
        // asks for it, and `verify` says so.
        try await checkPoints(of: collection, history, journal: MemoryJournal())
        return try await collection.verify().damage.map { "\(name): \($0)" }
    }
}

extension RecoveryReport {
    fileprivate var damageReports: [String] {
        quarantined.map(\.description) + notes
            + (cutBytes > 0 ? ["\(cutBytes) bytes were cut"] : [])
    }
}
