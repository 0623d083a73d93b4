import CordwoodVectors

/// The points of a collection as searches see them: sealed segments, and a head of those that came
/// later. Each live point is in one of them. Not locked.
struct CollectionPoints: ~Copyable, Sendable {
    private(set) var head: FlatIndex
    private(set) var segments: [LiveSegment]
    /// Every record before it has been applied.
    var appliedOffset: Int64

    init(head: consuming FlatIndex, segments: [LiveSegment], appliedOffset: Int64) {
        self.head = head
        self.segments = segments
        self.appliedOffset = appliedOffset
    }

    var count: Int { segments.reduce(head.count) { $0 + $1.liveCount } }

    var bytesAllocated: Int {
        segments.reduce(head.bytesAllocated) {
            $0 + $1.segment.bytesAllocated + $1.live.count / 8
        }
    }

    /// Where the log has the latest record of an id; nil where the id has no point.
    func offset(of id: UInt64) -> Int64? {
        if let offset = head.offset(of: id) { return offset }
        for segment in segments {
            if let place = segment.livePlace(of: id) { return segment.segment.offsets[place] }
        }
        return nil
    }

    // MARK: Changes

    /// Makes a change. Throws as ``FlatIndex/upsert(id:vector:offset:)``; nothing has changed then.
    mutating func apply(_ mutation: PointMutation) throws(VectorError) {
        if let vector = mutation.vector {
            try head.upsert(id: mutation.id, vector: vector.span, offset: mutation.offset)
        } else {
            _ = head.remove(id: mutation.id)
        }
        for index in segments.indices {
            if let place = segments[index].livePlace(of: mutation.id) {
                segments[index].live[place] = false
            }
        }
    }

    /// Makes a change of a log that is replayed from its start, beside segments of which it is not known
    /// yet what is live: a vector that a segment has from this very record is live there.
    mutating func adopt(_ mutation: PointMutation) throws(VectorError) {
        try apply(mutation)
        guard mutation.vector != nil else { return }
        for index in segments.indices {
            guard let place = segments[index].segment.place(of: mutation.id),
                segments[index].segment.offsets[place] == mutation.offset
            else { continue }
            segments[index].live[place] = true
            _ = head.remove(id: mutation.id)
            return
        }
    }

    /// Drops the points whose records the log has given up. O(points of segments that have such).
    mutating func drop(before offset: Int64) {
        for index in segments.indices { segments[index].drop(before: offset) }
    }

    // MARK: Mending

    /// The live points of a segment, by offset; none where it is not there any more. O(n log n).
    func entries(of segment: CollectionSegment) -> [SealPlan.Entry] {
        guard let live = segments.first(where: { $0.segment === segment }) else { return [] }
        return live.entries.sorted { $0.offset < $1.offset }
    }

    /// Puts points into the head that are live in a segment, from these very records, and no longer there.
    mutating func restore(
        _ points: [PointMutation], of segment: CollectionSegment
    ) throws(VectorError) {
        guard let target = segments.firstIndex(where: { $0.segment === segment }) else { return }
        for point in points {
            guard let vector = point.vector, let place = segments[target].livePlace(of: point.id),
                segment.offsets[place] == point.offset
            else { continue }
            try head.upsert(id: point.id, vector: vector.span, offset: point.offset)
            segments[target].live[place] = false
        }
    }

    mutating func remove(_ segment: CollectionSegment) {
        segments.removeAll { $0.segment === segment }
    }

    // MARK: Sealing

    /// Whether the head has so many points, or a segment too many dead ones.
    func isSealDue(after limit: Int) -> Bool {
        head.count >= limit || segments.contains { $0.isDue }
    }

    /// Adds a segment none of whose points is live yet.
    mutating func add(_ segment: CollectionSegment) {
        segments.append(LiveSegment(segment, allLive: false))
    }

    /// Makes those points of a segment live there whose records are still the latest ones, and no longer
    /// live where they were. O(places).
    mutating func move(_ places: Range<Int>, to segment: CollectionSegment) {
        guard let target = segments.firstIndex(where: { $0.segment === segment }) else { return }
        for place in places {
            let (id, offset) = (segment.index.id(at: place), segment.offsets[place])
            if take(id, at: offset, besides: target) { segments[target].live[place] = true }
        }
    }

    /// Takes a point away where its latest record is the one at `offset`.
    private mutating func take(_ id: UInt64, at offset: Int64, besides target: Int) -> Bool {
        if let own = head.offset(of: id) { return own == offset && head.remove(id: id) }
        for index in segments.indices where index != target {
            guard let place = segments[index].livePlace(of: id) else { continue }
            guard segments[index].segment.offsets[place] == offset else { return false }
            segments[index].live[place] = false
            return true
        }
        return false
    }

    /// Removes segments, and of these points of the head, whose records the log has given up, those that
    /// are still the latest.
    mutating func drop(_ numbers: Set<Int64>, _ lost: [SealPlan.Entry]) {
        segments.removeAll { numbers.contains($0.segment.number) }
        for entry in lost where head.offset(of: entry.id) == entry.offset {
            _ = head.remove(id: entry.id)
        }
    }
}
