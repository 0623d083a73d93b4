public import Cordwood
public import CordwoodSimulation

/// Writers store, replace and delete points of their own in a collection.
///
/// They are sealed into segments meanwhile.
///
/// Kept: of each point the latest acknowledged state or a later one, as it was given; and the index
/// finds exactly the points that are there, as one that is rebuilt does.
public struct CollectionWorkload: Workload {
    /// So few that a run of a few dozen changes seals, joins segments and builds them anew.
    private static let sealAfter = 8

    private let load: Load

    public init(_ load: Load) { self.load = load }

    public var name: String { "collection" }

    func collection(_ database: Database) async throws -> Collection {
        let log = LogConfiguration(segmentBytes: 32 << 10, maxMessageBytes: 20_000)
        return try await database.collection(
            name,
            CollectionConfiguration(
                dimensions: Content.dimensions, metric: .l2,
                index: .hnsw(HNSWConfiguration(neighbors: 4, efConstruction: 16)),
                sealAfter: Self.sealAfter, log: log))
    }

    public func work(
        on database: Database, random: inout SplitMix64, journal: any Journal, numbers: Numbers
    ) async throws {
        let collection = try await collection(database)
        try await withWriters(load.writers, &random) { writer, random in
            for _ in 0..<load.rounds {
                let number = numbers.take()
                let level = load.levels[random.below(load.levels.count)]
                journal.note(.send(number, place: 0, writer: writer, transaction: 0))
                let point = Content.point(number.lowerBound, writer: writer)
                let offset =
                    if Content.isDeletion(number.lowerBound) {
                        try await collection.delete(
                            [point.id], acknowledge: level.acknowledgement)
                    } else {
                        try await collection.upsert([point], acknowledge: level.acknowledgement)
                    }
                journal.note(.acknowledged(number, offset: offset, level))
            }
        }
    }

    public func check(
        _ database: Database, _ history: History, journal: any Journal
    ) async throws {
        let collection = try await collection(database)
        try await checkPoints(of: collection, history, journal: journal)
        let report = try await collection.verify()
        guard report.isSound else { throw Violation("\(name): \(report.damage)") }
    }

    /// The latest points are all there, and the index finds them and no others.
    func checkPoints(
        of collection: Collection, _ history: History, journal: any Journal
    ) async throws {
        let found = try await points(of: collection, history)
        try history.checkLatest(found, in: name)
        try await checkIndex(collection, found, history)
        // Deletions leave nothing to be seen: the latest one of a key that is gone stands.
        let present = Set(found)
        for (number, fact) in history.facts where fact.standing != .lost {
            if present.contains(number) {
                if fact.standing != .kept { journal.note(.kept(number, offset: fact.offset ?? -1)) }
            } else if !(fact.standing.isRequired && Content.isDeletion(number)) {
                journal.note(.lost(number))
            }
        }
    }

    /// The numbers of the points that are there, each of which must be what was sent.
    func points(of collection: Collection, _ history: History) async throws -> [Int64] {
        var keys: Set<Int> = []
        for (number, fact) in history.facts {
            keys.insert(Content.key(number, writer: fact.writer))
        }
        var found: [Int64] = []
        for key in keys.sorted() {
            guard let point = try await collection.get(UInt64(key)) else { continue }
            guard case .integer(let number)? = point.payload["n"],
                let fact = history.facts[number], fact.standing != .lost,
                point == Content.point(number, writer: fact.writer)
            else { throw Violation("point \(key) is not what was sent: \(point)") }
            found.append(number)
        }
        return found
    }

    /// The index has the points that the log has, each where it is, and no others.
    private func checkIndex(
        _ collection: Collection, _ found: [Int64], _ history: History
    ) async throws {
        guard collection.count == found.count else {
            throw Violation("the index has \(collection.count) points, the log \(found.count)")
        }
        let ids = Set(
            found.map { UInt64(Content.key($0, writer: history.facts[$0]!.writer)) })
        for number in found.prefix(8) {
            let neighbors = try await collection.search(
                Content.vector(number), limit: found.count + 1)
            let id = UInt64(Content.key(number, writer: history.facts[number]!.writer))
            guard Set(neighbors.map(\.id)) == ids, neighbors.count == found.count,
                neighbors.first?.distance == 0,
                neighbors.prefix(while: { $0.distance == 0 }).contains(where: { $0.id == id })
            else { throw Violation("the index does not find point \(id) of record \(number)") }
        }
    }
}
