/// What a log consists of: its segments, oldest first, the offsets it begins at and was compacted up
/// to, and its leader epochs.
///
/// A pure value; ``ManifestStore`` keeps it on disk as the edits that made it.
struct Manifest: Equatable {
    struct Active: Equatable {
        var id: SegmentID
        /// The log's clock when it was added; 0 where it is not known.
        var createdAt: Int64
        /// Damage that recovery found; it seals the segment next.
        var gaps: [Gap] = []
    }

    private(set) var sealed: [SegmentInfo] = []
    /// The segment that is appended to; none between a seal and the next addition.
    private(set) var active: Active?
    private(set) var startOffset: Int64 = 0
    /// Everything before this offset has been compacted.
    private(set) var cleanedUpTo: Int64 = 0
    private(set) var epochs = EpochCache()
    /// No batch before this offset has a producer id; nil when none in the log has.
    private(set) var producersSince: Int64?
    /// Files that the manifest has given up or never took: to be removed.
    private(set) var garbage: Set<SegmentID> = []

    /// Where a truncation whose new segment was not added yet wants it.
    private var truncatedTo: Int64?

    /// Where a new active segment begins.
    var nextBaseOffset: Int64 {
        max(truncatedTo ?? sealed.last?.end.nextOffset ?? 0, startOffset)
    }

    /// A name for a new segment that no file has which the manifest knows.
    func unusedID(baseOffset: Int64) -> SegmentID {
        let known =
            sealed.lazy.map(\.id).filter { $0.baseOffset == baseOffset }.map(\.generation)
            + garbage.lazy.filter { $0.baseOffset == baseOffset }.map(\.generation)
            + (active.map { $0.id.baseOffset == baseOffset ? [$0.id.generation] : [] } ?? [])
        return SegmentID(
            baseOffset: baseOffset, generation: known.max().map { $0 &+ 1 } ?? 0)
    }

    /// Takes an edit, or throws ``LogError/Code/inconsistent`` when it contradicts those before it;
    /// nothing has changed then.
    mutating func apply(_ edit: SegmentEdit) throws(LogError) {
        switch edit {
        case .add(let id, let createdAt):
            let end = sealed.last?.end.nextOffset ?? 0
            guard active == nil, id.baseOffset >= end else {
                throw Self.contradiction(
                    "adds the segment \(id)",
                    active == nil ? "one at \(end) or later" : "the last to be sealed")
            }
            truncatedTo = nil
            garbage.remove(id)
            active = Active(id: id, createdAt: createdAt)
        case .seal(let info):
            guard let active, active.id == info.id, info.end.nextOffset > info.id.baseOffset else {
                throw Self.contradiction(
                    "seals segment \(info.id) at offset \(info.end.nextOffset)",
                    "the active one, with records")
            }
            var info = info
            info.gaps = active.gaps
            sealed.append(info)
            self.active = nil
        case .quarantine(let id, let gap): try quarantine(id, gap)
        case .startOffset(let offset):
            guard offset >= startOffset else {
                throw Self.contradiction("starts at offset \(offset)", "\(startOffset) or later")
            }
            startOffset = offset
        case .stage(let id):
            guard id != active?.id, !sealed.contains(where: { $0.id == id }) else {
                throw Self.contradiction("stages segment \(id)", "one that is not in use")
            }
            garbage.insert(id)
        case .replace(let removed, let added, let cleanedUpTo):
            try replace(removed, with: added)
            self.cleanedUpTo = max(self.cleanedUpTo, cleanedUpTo)
        case .remove(let ids):
            guard ids == sealed.prefix(ids.count).map(\.id) else {
                throw Self.contradiction("removes segments \(ids)", "the oldest ones")
            }
            sealed.removeFirst(ids.count)
            garbage.formUnion(ids)
            if let first = sealed.first?.id ?? active?.id {
                startOffset = max(startOffset, first.baseOffset)
                epochs.forget(before: first.baseOffset)
            }
        case .truncate(let offset, let kept): try truncate(to: offset, keeping: kept)
        case .epoch(let epoch, let offset):
            guard epochs.start(epoch, at: offset) else {
                throw Self.contradiction(
                    "begins epoch \(epoch) at offset \(offset)", "one after \(epochs.latest)")
            }
        case .producers(let offset): producersSince = min(producersSince ?? offset, offset)
        }
    }

    private mutating func quarantine(_ id: SegmentID, _ gap: Gap) throws(LogError) {
        // Of no bytes: nobody could ever step behind it.
        if gap.positions.isEmpty { return }
        // An opening that was cut short may have named it before.
        if active?.id == id {
            if active?.gaps.contains(gap) == false { active?.gaps.append(gap) }
        } else if let index = sealed.lastIndex(where: { $0.id == id }) {
            if !sealed[index].gaps.contains(gap) { sealed[index].gaps.append(gap) }
        } else {
            throw Self.contradiction("names damage in segment \(id)", "one that it lists")
        }
    }

    private mutating func replace(
        _ removed: [SegmentID], with added: [SegmentInfo]
    ) throws(LogError) {
        if removed.isEmpty && added.isEmpty { return }
        guard let first = removed.first,
            let start = sealed.firstIndex(where: { $0.id == first }),
            start + removed.count <= sealed.count,
            removed == sealed[start..<start + removed.count].map(\.id)
        else {
            throw Self.contradiction("replaces segments \(removed)", "adjacent sealed ones")
        }
        let range = start..<start + removed.count
        var floor = sealed[range.lowerBound].id.baseOffset
        let ceiling = sealed[range.upperBound - 1].end.nextOffset
        for info in added {
            guard info.id.baseOffset >= floor, info.end.nextOffset <= ceiling,
                !sealed.contains(where: { $0.id == info.id }), info.id != active?.id
            else {
                throw Self.contradiction(
                    "puts segment \(info.id) in the place of \(removed)",
                    "one within their offsets")
            }
            floor = info.end.nextOffset
        }
        sealed.replaceSubrange(range, with: added)
        garbage.formUnion(removed)
        garbage.subtract(added.map(\.id))
    }

    private mutating func truncate(to offset: Int64, keeping kept: SegmentInfo?) throws(LogError) {
        let remaining = sealed.prefix { $0.end.nextOffset <= offset }.count
        var gaps: [Gap] = []
        if let kept {
            let cut = remaining < sealed.count
            gaps = (cut ? sealed[remaining].gaps : active?.gaps ?? [])
                .filter { $0.positions.upperBound <= kept.end.position }
            guard (cut ? sealed[remaining].id : active?.id) == kept.id,
                kept.end.nextOffset <= offset,
                kept.end.nextOffset > kept.id.baseOffset
            else {
                throw Self.contradiction(
                    "cuts segment \(kept.id) at offset \(offset)", "the one that holds it")
            }
        }
        garbage.formUnion(sealed[remaining...].map(\.id))
        if let active { garbage.insert(active.id) }
        sealed.removeLast(sealed.count - remaining)
        active = nil
        truncatedTo = offset
        if var kept {
            garbage.remove(kept.id)
            kept.gaps = gaps
            sealed.append(kept)
        }
        epochs.truncate(to: offset)
        producersSince = producersSince.map { min($0, offset) }
        cleanedUpTo = min(cleanedUpTo, offset)
    }

    private static func contradiction(_ does: String, _ expected: String) -> LogError {
        LogError(.inconsistent, "the manifest \(does), expected \(expected)")
    }

    /// The fewest edits that make this manifest.
    func snapshot() -> [SegmentEdit] {
        var edits: [SegmentEdit] = []
        for info in sealed {
            edits.append(.add(info.id, createdAt: 0))
            edits += info.gaps.map { .quarantine(info.id, $0) }
            edits.append(.seal(info))
        }
        if let active {
            edits.append(.add(active.id, createdAt: active.createdAt))
            edits += active.gaps.map { .quarantine(active.id, $0) }
        }
        if let truncatedTo { edits.append(.truncate(to: truncatedTo, keeping: nil)) }
        edits += garbage.sorted().map { .stage($0) }
        edits += epochs.entries.map { .epoch($0.epoch, startOffset: $0.startOffset) }
        if let producersSince { edits.append(.producers(since: producersSince)) }
        if startOffset > 0 { edits.append(.startOffset(startOffset)) }
        if cleanedUpTo > 0 {
            edits.append(.replace(removing: [], with: [], cleanedUpTo: cleanedUpTo))
        }
        return edits
    }

    /// Whether a segment that is not listed is known to have been given up: segments are added in
    /// the order of their offsets, so one from before the newest is listed or was given up.
    func hasGivenUp(_ id: SegmentID) -> Bool {
        guard let newest = active?.id ?? sealed.last?.id else { return false }
        return id < newest
    }

    /// Forgets garbage whose files are gone, and that would be known if they came back.
    mutating func forget(_ ids: Set<SegmentID>) { garbage.subtract(ids.filter(hasGivenUp)) }

    /// Takes in files that had been given up and forgotten, and have come back.
    mutating func adopt(_ ids: [SegmentID]) { garbage.formUnion(ids) }
}
