import CordwoodVectors

/// Points of a collection that were sealed together: an index of their vectors, the offset of each
/// one's record, and the place of each id. Never changed.
final class CollectionSegment: Sendable {
    let number: Int64
    let index: any VectorIndex
    /// By place.
    let offsets: [Int64]
    let files: SegmentFacts
    /// The offsets that its records lie in.
    let offsetRange: Range<Int64>
    private let places: RowTable

    /// `offsets` has one for each vector. O(count). Throws for an id that comes twice.
    init(
        number: Int64, index: any VectorIndex, offsets: [Int64], files: SegmentFacts
    ) throws(SegmentProblem) {
        precondition(offsets.count == index.count, "an offset for each vector")
        self.number = number
        self.index = index
        self.offsets = offsets
        self.files = files
        offsetRange = (offsets.min() ?? 0)..<(offsets.max() ?? -1) + 1
        var places = RowTable()
        for place in 0..<offsets.count {
            let id = index.id(at: place)
            guard places.row(of: id, idOfRow: { index.id(at: $0) }) == nil else {
                throw SegmentProblem("it has the id \(id) twice")
            }
            places.insert(id, row: place) { index.id(at: $0) }
        }
        self.places = places
    }

    /// Where the index has an id. O(1) expected.
    func place(of id: UInt64) -> Int? { places.row(of: id) { index.id(at: $0) } }

    var bytesAllocated: Int {
        index.bytesAllocated + offsets.count * MemoryLayout<Int64>.stride + places.bytesAllocated
    }
}

/// What tells a segment's files from any others.
struct SegmentFacts: Sendable, Hashable {
    /// The length of the index's file.
    var indexBytes: Int
    /// The checksum of that file's first page, which has the checksums of all the others.
    var indexChecksum: UInt32
    var placesBytes: Int
    var placesChecksum: UInt32
}

/// A segment, and which of its points have not been deleted or replaced.
struct LiveSegment: Sendable {
    /// One that has more dead points than one in so many is built anew without them.
    private static let tolerableDeadPart = 5

    let segment: CollectionSegment
    /// A bit for each place.
    var live: VectorBitmap

    init(_ segment: CollectionSegment, live: VectorBitmap) {
        self.segment = segment
        self.live = live
    }

    /// With all points live, or none.
    init(_ segment: CollectionSegment, allLive: Bool) {
        self.init(segment, live: VectorBitmap(count: segment.index.count, repeating: allLive))
    }

    var liveCount: Int { live.setCount }
    var isDue: Bool { (live.count - liveCount) * Self.tolerableDeadPart > live.count }

    /// The live points, by place. O(count).
    var entries: [SealPlan.Entry] {
        segment.offsets.enumerated().compactMap { place, offset in
            live[place] ? SealPlan.Entry(id: segment.index.id(at: place), offset: offset) : nil
        }
    }

    /// Where an id is live.
    func livePlace(of id: UInt64) -> Int? {
        segment.place(of: id).flatMap { live[$0] ? $0 : nil }
    }

    /// The places of the live points that have one of the ids. O(ids).
    func places(of ids: Set<UInt64>) -> VectorBitmap {
        var places = VectorBitmap(count: live.count)
        for id in ids {
            if let place = livePlace(of: id) { places[place] = true }
        }
        return places
    }

    /// Drops the points whose records lie before an offset.
    mutating func drop(before offset: Int64) {
        guard segment.offsetRange.lowerBound < offset else { return }
        for (place, own) in segment.offsets.enumerated() where own < offset { live[place] = false }
    }
}
