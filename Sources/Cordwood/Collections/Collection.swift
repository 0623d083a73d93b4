public import CordwoodLog
import CordwoodStorage
public import CordwoodVectors

/// A named set of vectors with payloads, kept in a log of its own and searched through an index
/// that is a view of that log.
///
/// All members may be used from any task at any time. Searches run on the engine's threads; they see
/// every change whose call has returned, and a change is never half visible.
public final class Collection: Sendable {
    public let name: String
    public let configuration: CollectionConfiguration
    let log: any Log
    private let views: CurrentView

    init(
        name: String, configuration: CollectionConfiguration, log: any Log, views: CurrentView
    ) {
        self.name = name
        self.configuration = configuration
        self.log = log
        self.views = views
    }

    /// How many points there are; after a truncation of the log, until the next call that looks at
    /// them, how many there were.
    public var count: Int { views.latest.view.pointCount }
    /// The view holds every record before this offset of the collection's log.
    public var appliedOffset: Int64 { views.appliedOffset }
    public var statistics: LogStatistics { log.statistics }

    /// Stores points, each in the place of the one that had its id. Returns the offset of the last
    /// one's record, acknowledged as asked and applied to the view.
    ///
    /// Nothing is written when a vector has the wrong dimensions or a component that is not finite.
    @discardableResult public func upsert(
        _ points: [Point], acknowledge: Acknowledgement = .durable
    ) async throws(DatabaseError) -> Int64 {
        var records: [Record] = []
        records.reserveCapacity(points.count)
        for point in points {
            do {
                try FlatIndex.validate(
                    point.vector.span, dimensions: configuration.dimensions)
            } catch { throw DatabaseError(error, "point \(point.id) of \(name)") }
            records.append(try PointCodec.upsert(point))
        }
        return try await append(records, acknowledge) { index, offset in
            PointMutation(id: points[index].id, vector: points[index].vector, offset: offset)
        }
    }

    /// Deletes points by id; one that is not there is not an error. Returns the offset of the last
    /// deletion's record.
    @discardableResult public func delete(
        _ ids: [UInt64], acknowledge: Acknowledgement = .durable
    ) async throws(DatabaseError) -> Int64 {
        try await append(ids.map(PointCodec.deletion), acknowledge) { index, offset in
            PointMutation(id: ids[index], vector: nil, offset: offset)
        }
    }

    private func append(
        _ records: [Record], _ acknowledge: Acknowledgement,
        mutation: (_ index: Int, _ offset: Int64) -> PointMutation
    ) async throws(DatabaseError) -> Int64 {
        while true {
            // The offsets are of the history that this view is of.
            let current = try await views.current()
            let offsets: Range<Int64>
            do {
                offsets = try await log.append(
                    records, acknowledge: acknowledge, truncations: current.truncations)
            } catch {
                views.abandonLost(in: current)
                // Nothing of it is in the log that there is now.
                if error.code == .truncated { continue }
                throw DatabaseError(error, "collection \(name)")
            }
            let mutations = offsets.enumerated().map { mutation($0.offset, $0.element) }
            await current.view.apply(mutations, at: offsets)
            do { try current.view.checkFollows() } catch {
                throw DatabaseError(
                    error, "collection \(name): the log has the records, the index does not")
            }
            return offsets.upperBound - 1
        }
    }

    /// The point as it was given, read back from the log; nil where there is none.
    public func get(_ id: UInt64) async throws(DatabaseError) -> Point? {
        while true {
            let version = try await views.current()
            guard let offset = await version.view.offset(of: id) else { return nil }
            if Task.isCancelled { throw DatabaseError(.cancelled, "collection \(name)") }
            let found: StoredRecord?
            do throws(LogError) { found = try await record(at: offset) } catch {
                // The log was cut meanwhile; the next view is of what is left.
                if log.truncations.count != version.truncations { continue }
                throw DatabaseError(error, "collection \(name)")
            }
            // What lies there now may be another point's.
            guard let found, log.truncations.count == version.truncations else { continue }
            return try PointCodec.point(of: found, dimensions: configuration.dimensions)
        }
    }

    /// Reads a record that the view holds, replicated or not; nil where compaction has taken it out
    /// for a later one. Waits for one that was appended to memory only and is still to be written.
    private func record(at offset: Int64) async throws(LogError) -> StoredRecord? {
        if offset >= log.endOffset { try await log.wait(for: offset..<offset + 1, .written) }
        let batches = try await log.read(from: offset, maximumBytes: 1, isolation: .logEnd)
        return try batches.first?.records().first { $0.offset == offset }
    }

    /// The `limit` nearest points, or all where there are fewer, by distance and then by id.
    ///
    /// Exact. O(count × dimensions), bound by memory bandwidth. A search of a cancelled task throws
    /// ``DatabaseError/Code/cancelled``, unless it is already running.
    public func search(
        _ query: [Float], limit: Int = 10
    ) async throws(DatabaseError) -> [Neighbor] {
        try checkCancellation()
        let view = try await views.current().view
        do {
            return try await view.search(query, limit: limit)
        } catch { throw DatabaseError(error, "search in \(name)") }
    }

    /// Searches for many queries at once, row after row in `queries`; one result for each. Faster
    /// than one by one: the rows are read once for many queries.
    public func search(
        batch queries: [Float], limit: Int = 10
    ) async throws(DatabaseError) -> [[Neighbor]] {
        try checkCancellation()
        let view = try await views.current().view
        do {
            return try await view.search(batch: queries, limit: limit)
        } catch { throw DatabaseError(error, "search in \(name)") }
    }

    private func checkCancellation() throws(DatabaseError) {
        if Task.isCancelled { throw DatabaseError(.cancelled, "search in \(name)") }
    }

    /// Bytes that the index takes in memory.
    public func bytesInMemory() async -> Int { await views.latest.view.bytesAllocated() }

    /// Reads every byte of the collection's log and holds it against every checksum.
    public func verify() async throws(LogError) -> VerificationReport { try await log.verify() }
}

/// A ``CollectionView``, whatever storage its threads belong to.
protocol CollectionViewing: Sendable {
    var appliedOffset: Int64 { get }
    var pointCount: Int { get }
    func apply(_ mutations: [PointMutation], at offsets: Range<Int64>) async
    func abandon(from offset: Int64)
    func checkFollows() throws(VectorError)
    func offset(of id: UInt64) async -> Int64?
    func bytesAllocated() async -> Int
    func search(_ query: [Float], limit: Int) async throws(VectorError) -> [Neighbor]
    func search(batch queries: [Float], limit: Int) async throws(VectorError) -> [[Neighbor]]
}

extension CollectionView: CollectionViewing {
    func offset(of id: UInt64) async -> Int64? { await read { $0.offset(of: id) } }
    func bytesAllocated() async -> Int { await read { $0.bytesAllocated } }

    func search(_ query: [Float], limit: Int) async throws(VectorError) -> [Neighbor] {
        try checkFollows()
        return try await read { index throws(VectorError) in
            try index.search(query.span, limit: limit)
        }
    }

    func search(batch queries: [Float], limit: Int) async throws(VectorError) -> [[Neighbor]] {
        try checkFollows()
        return try await read { index throws(VectorError) in
            try index.search(batch: queries.span, limit: limit)
        }
    }
}
