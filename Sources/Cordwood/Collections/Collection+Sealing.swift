extension Collection {
    /// Builds a segment of the points of the head, and of smaller segments that it takes the place of;
    /// returns when it is durable and searched. Sealing also happens in the background, whenever the head
    /// has ``CollectionConfiguration/sealAfter`` points or a fifth of a segment's points are dead. Does
    /// nothing in a collection whose index is ``IndexKind/flat``.
    ///
    /// O(points × log points) distances on ``DatabaseOptions/buildThreads`` threads that end with it;
    /// appends and searches go on meanwhile. The same log, sealed at the same offsets, gives the same
    /// bytes. `progress` is told, by one thread at a time, how many of how many vectors are in.
    ///
    /// Throws ``DatabaseError/Code/cancelled`` in a cancelled task, ``DatabaseError/Code/closed`` when
    /// the database is closed meanwhile, ``DatabaseError/Code/storage`` and ``DatabaseError/Code/log``:
    /// nothing has changed then, and every point is found as before.
    public func seal(
        merging: SegmentMerging = .small,
        progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) async throws(DatabaseError) {
        try await sealing.seal(merging, progress: progress)
    }

    /// The segments, oldest first.
    public var segments: [SegmentSummary] {
        get async { await views.latest.view.segments() }
    }

    /// How many points are in no segment.
    public var headCount: Int { views.latest.view.headCount }

    /// Why the last sealing failed; nil when it did not. Nothing is lost by it: the points stay in the
    /// head. The background tries again when the head has grown by
    /// ``CollectionConfiguration/sealAfter`` points.
    public var sealFailure: DatabaseError? { sealing.failure }

    /// Files of segments that were found damaged and are still to be built anew; empty when all is well.
    public var damage: [SegmentDamage] { views.latest.view.damage }

    /// Whether a segment is being built.
    public var isSealing: Bool { sealing.isSealing }
}
