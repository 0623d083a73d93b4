/// The list of a log's segments: sealed ones, oldest first, and the active one.
///
/// A pure value; ``EditLog`` keeps it on disk as the edits that made it.
struct Manifest {
    struct Segment: Equatable {
        var baseOffset: Int64
        /// Where it ends; nil for the active segment.
        var end: SegmentCursor?
        var gaps: [Gap] = []
    }

    private(set) var segments: [Segment] = []

    /// Takes an edit, or throws ``LogError/Code/inconsistent`` when it contradicts those before it.
    mutating func apply(_ edit: SegmentEdit) throws(LogError) {
        switch edit {
        case .add(let baseOffset):
            let expected = segments.isEmpty ? 0 : segments.last?.end?.nextOffset
            guard baseOffset == expected else {
                throw LogError(
                    .inconsistent,
                    "the manifest adds a segment at offset \(baseOffset), expected "
                        + (expected.map { "one at \($0)" } ?? "the one before it to be sealed"))
            }
            segments.append(Segment(baseOffset: baseOffset))
        case .seal(let baseOffset, let end):
            guard let last = segments.last, last.baseOffset == baseOffset, last.end == nil,
                end.nextOffset > baseOffset
            else {
                throw LogError(
                    .inconsistent,
                    "the manifest seals segment \(baseOffset) at offset \(end.nextOffset), "
                        + "expected the active one, with records")
            }
            segments[segments.count - 1].end = end
        case .quarantine(let baseOffset, let gap):
            guard let index = segments.lastIndex(where: { $0.baseOffset == baseOffset }) else {
                throw LogError(
                    .inconsistent,
                    "the manifest names damage in segment \(baseOffset), which it does not list")
            }
            segments[index].gaps.append(gap)
        }
    }
}
