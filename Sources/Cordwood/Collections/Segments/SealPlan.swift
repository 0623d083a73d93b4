import CordwoodVectors

/// Which segments a sealing joins with the points of the head.
public enum SegmentMerging: Sendable, Hashable {
    /// Those with too many dead points or damaged files, and those that are no larger than what they join: so the sizes
    /// grow as the digits of a binary counter, and a point is built again about log2(points / sealed at
    /// a time) times.
    case small
    /// All, so that one segment is left: the fastest to search.
    case all
}

/// What a sealing builds a segment of: the state of a collection when it began.
struct SealPlan: Sendable {
    struct Entry: Sendable {
        var id: UInt64
        /// Of the point's record.
        var offset: Int64
    }

    /// Every record before it is in what was found.
    var appliedOffset: Int64
    /// By offset, so that the same points are the same segment.
    var entries: [Entry]
    /// The segments that the new one takes the place of.
    var merged: [LiveSegment]
    /// The others.
    var kept: [LiveSegment]

    /// What there is to be sealed at one moment; taken under the lock, so it is little more than copies
    /// of what the head has.
    struct Snapshot: Sendable {
        var appliedOffset: Int64
        var head: [(id: UInt64, offset: Int64)]
        var segments: [LiveSegment]

        init(_ points: borrowing CollectionPoints) {
            appliedOffset = points.appliedOffset
            head = points.head.entries()
            segments = points.segments
        }
    }

    /// O(n log n) in the points of the head and of the segments that are joined.
    init(
        _ snapshot: Snapshot, _ merging: SegmentMerging, damaged: Set<Int64>, maximumCount: Int
    ) {
        appliedOffset = snapshot.appliedOffset
        let joined = Self.joined(
            snapshot.segments, headCount: snapshot.head.count, merging, damaged: damaged,
            maximumCount: maximumCount)
        merged = snapshot.segments.filter { joined.contains($0.segment.number) }
        kept = snapshot.segments.filter { !joined.contains($0.segment.number) }
        entries = snapshot.head.map { Entry(id: $0.id, offset: $0.offset) }
        for segment in merged { entries += segment.entries }
        entries.sort { $0.offset < $1.offset }
    }

    /// Whether there is nothing to be sealed.
    var isEmpty: Bool { entries.isEmpty && merged.isEmpty }

    /// The numbers of the segments to be joined.
    private static func joined(
        _ segments: [LiveSegment], headCount: Int, _ merging: SegmentMerging,
        damaged: Set<Int64>, maximumCount: Int
    ) -> Set<Int64> {
        var joined: Set<Int64> = []
        var total = headCount
        func join(_ segment: LiveSegment) {
            guard total + segment.liveCount <= maximumCount else { return }
            joined.insert(segment.segment.number)
            total += segment.liveCount
        }
        let due = segments.filter {
            $0.isDue || $0.liveCount == 0 || damaged.contains($0.segment.number)
        }
        for segment in due { join(segment) }
        let others = segments.filter { !joined.contains($0.segment.number) }
            .sorted { ($0.liveCount, $0.segment.number) < ($1.liveCount, $1.segment.number) }
        switch merging {
        case .small:
            for segment in others where segment.liveCount <= total { join(segment) }
        case .all:
            // One that is sound and alone is as good as another of the same points.
            if total > 0 || others.count > 1 { for segment in others { join(segment) } }
        }
        return joined
    }
}
