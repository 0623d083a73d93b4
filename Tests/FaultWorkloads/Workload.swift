public import Cordwood
public import CordwoodSimulation
import Synchronization

/// Where events go, in the order in which they happen.
public protocol Journal: Sendable {
    /// Returns once the event is safe from whatever happens to the workload.
    func note(_ event: Event)
}

/// Something that a database is used for while it is subjected to faults, and the rules by which its
/// contents are judged afterwards.
///
/// A run is several lives of one database: ``work(on:random:journal:numbers:)``, an outage,
/// ``check(_:_:journal:)``, and so on.
public protocol Workload: DamageCheck, Sendable {
    var name: String { get }

    /// Works for a while. Throws what the database throws, once every writer has met an error.
    func work(
        on database: Database, random: inout SplitMix64, journal: any Journal, numbers: Numbers
    ) async throws

    /// Holds the database against the history, and notes what it found of the records whose fate was
    /// open. Throws ``Violation`` where a promise was not kept.
    func check(
        _ database: Database, _ history: History, journal: any Journal
    ) async throws
}

/// A journal in memory, for faults that leave the process alone.
public final class MemoryJournal: Journal {
    private let events: Mutex<[Event]>

    public init() { events = Mutex([]) }

    public func note(_ event: Event) { events.withLock { $0.append(event) } }

    public var history: History { History(noted) }
    public var noted: [Event] { events.withLock { $0 } }
}

/// The numbers of a run, each given once.
public final class Numbers: Sendable {
    private let next: Mutex<Int64>

    public init(from next: Int64) { self.next = Mutex(next) }

    func take(_ count: Int = 1) -> Range<Int64> {
        next.withLock { next in
            defer { next += Int64(count) }
            return next..<next + Int64(count)
        }
    }
}

/// How much a workload does in one life.
public struct Load: Sendable {
    public var writers: Int
    /// How often each writer acts.
    public var rounds: Int
    /// What acknowledgements are asked for, at random.
    public var levels: [Event.Level]

    public init(writers: Int, rounds: Int, levels: [Event.Level] = [.durable]) {
        self.writers = writers
        self.rounds = rounds
        self.levels = levels
    }
}

/// All there are.
public enum Workloads {
    public static func all(_ load: Load) -> [any Workload] {
        [
            AppendWorkload(load, rolls: false), AppendWorkload(load, rolls: true),
            CompactWorkload(load), TransactionWorkload(load), CollectionWorkload(load),
        ]
    }

    public static func named(_ name: String, _ load: Load) -> (any Workload)? {
        all(load).first { $0.name == name }
    }
}

extension Event.Level {
    var acknowledgement: Acknowledgement {
        switch self {
        case .memory: .memory
        case .written: .written
        case .durable: .durable
        }
    }
}

/// Runs writers side by side, each with a generator of its own, until all are done or have failed;
/// throws the first of their errors.
func withWriters(
    _ count: Int, _ random: inout SplitMix64,
    _ body: @escaping @Sendable (_ writer: Int, _ random: inout SplitMix64) async throws -> Void
) async throws {
    let seeds = (0..<count).map { _ in random.next() }
    let failure = await withTaskGroup(of: (any Error)?.self) { tasks in
        for (writer, seed) in seeds.enumerated() {
            tasks.addTask {
                var random = SplitMix64(seed: seed)
                do { try await body(writer, &random) } catch { return error }
                return nil
            }
        }
        var first: (any Error)?
        for await failure in tasks { first = first ?? failure }
        return first
    }
    if let failure { throw failure }
}
