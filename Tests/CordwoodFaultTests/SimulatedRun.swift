import Cordwood
import CordwoodSimulation
import FaultWorkloads

/// The lives of one database on a simulated disk, and the oracle beside it.
struct SimulatedRun {
    let workload: any Workload
    let storage: SimulatedStorage
    private let journal = MemoryJournal()
    private var random: SplitMix64

    init(_ workload: any Workload, on storage: SimulatedStorage) {
        self.workload = workload
        self.storage = storage
        random = SplitMix64(seed: ~storage.seed)
    }

    /// Nothing happens by itself.
    private static var options: DatabaseOptions {
        var options = DatabaseOptions()
        options.retentionCheckIntervalMilliseconds = nil
        options.compaction.maximumBytesPerSecond = nil
        return options
    }

    /// Opens, works and closes. Returns whether nothing failed. The database is closed in each case.
    mutating func live() async -> Bool {
        let numbers = Numbers(from: journal.history.nextNumber)
        var random = random
        defer { self.random = random }
        let database: Database
        do { database = try await Database.open(on: storage, Self.options) } catch { return false }
        do {
            try await workload.work(
                on: database, random: &random, journal: journal, numbers: numbers)
        } catch {
            try? await database.close()
            return false
        }
        do { try await database.close() } catch { return false }
        return true
    }

    /// What comes after a life: nothing, where it ended well, or the machine goes down.
    mutating func outage(_ crash: Crash?) {
        guard let crash else { return journal.note(.outage(.closed)) }
        storage.crash(crash)
        journal.note(.outage(crash == .keepAll ? .killed : .powerCut))
    }

    /// Tries to open, with whatever faults are armed. Returns whether that succeeded.
    mutating func open() async -> Bool {
        do {
            let database = try await Database.open(on: storage, Self.options)
            // What the coordinator has to do is part of recovery.
            try await workload.check(database, journal.history, journal: MemoryJournal())
            try await database.close()
            return true
        } catch { return false }
    }

    /// Opens and holds what is there against the history.
    mutating func check() async throws {
        let database = try await Database.open(on: storage, Self.options)
        try await workload.check(database, journal.history, journal: journal)
        try await database.close()
        journal.note(.outage(.closed))
    }

    /// The acknowledged records that outlived an outage.
    var survivors: Int { journal.history.survivors }
}
