public import CordwoodLog
import CordwoodStorage
import CordwoodVectors

/// A named set of vectors with payloads, kept in a log of its own and searched through indexes
/// that are a view of that log: sealed segments, each with an index that does not change, and a head
/// of the points that came later, which is searched exactly.
///
/// All members may be used from any task at any time. Searches run on the engine's threads; they see
/// every change whose call has returned, and a change is never half visible.
public final class Collection: Sendable {
    public let name: String
    public let configuration: CollectionConfiguration
    let log: any Log
    let views: CurrentView
    let sealing: CollectionSealing
    let observation: CollectionObservation

    init(
        name: String, configuration: CollectionConfiguration, log: any Log, views: CurrentView,
        sealing: CollectionSealing, observation: CollectionObservation
    ) {
        self.name = name
        self.configuration = configuration
        self.log = log
        self.views = views
        self.sealing = sealing
        self.observation = observation
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
    ///
    /// Waits while the head is full (``CollectionConfiguration/headLimit``), for points to be sealed; in a
    /// cancelled task that throws ``DatabaseError/Code/cancelled``, and where the sealing fails
    /// ``DatabaseError/Code/sealingFailed``: nothing was written.
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
        try await sealing.room.enter(points.count) { sealing.startIfDue(isAwaited: true) }
        defer {
            if sealing.room.leave(points.count) { sealing.startIfDue(isAwaited: true) }
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
        // Where points go, others may come.
        defer { sealing.room.admitWaiters() }
        return try await append(ids.map(PointCodec.deletion), acknowledge) { index, offset in
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
            sealing.startIfDue()
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

    /// Bytes that the index takes in memory.
    public func bytesInMemory() async -> Int { await views.latest.view.bytesAllocated() }

    /// Reads every byte of the collection's log and holds it against every checksum.
    public func verify() async throws(LogError) -> VerificationReport { try await log.verify() }
}
