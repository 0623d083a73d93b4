extension SegmentEdit {
    /// The edit as an inspection shows it.
    var fields: [(name: String, value: InspectionItem.Value)] {
        switch self {
        case .add(let id, let createdAt):
            [("edit", "add"), ("segment", .text("\(id)")), ("createdAt", .integer(createdAt))]
        case .seal(let info): [("edit", "seal")] + info.fields
        case .quarantine(let id, let gap):
            [
                ("edit", "quarantine"), ("segment", .text("\(id)")),
                ("from", .count(gap.positions.lowerBound)),
                ("to", .count(gap.positions.upperBound)),
                ("firstOffset", .integer(gap.offsets.lowerBound)),
                ("nextOffset", .integer(gap.offsets.upperBound)),
            ]
        case .startOffset(let offset): [("edit", "startOffset"), ("offset", .integer(offset))]
        case .stage(let id): [("edit", "stage"), ("segment", .text("\(id)"))]
        case .replace(let removed, let added, let cleanedUpTo):
            [
                ("edit", "replace"), ("removed", .text(Self.list(removed))),
                ("added", .text(Self.list(added.map(\.id)))),
                ("cleanedUpTo", .integer(cleanedUpTo)),
            ]
        case .remove(let ids): [("edit", "remove"), ("removed", .text(Self.list(ids)))]
        case .truncate(let offset, let kept):
            [("edit", "truncate"), ("offset", .integer(offset))] + (kept?.fields ?? [])
        case .epoch(let epoch, let startOffset):
            [
                ("edit", "epoch"), ("epoch", .integer(Int64(epoch))),
                ("startOffset", .integer(startOffset)),
            ]
        case .producers(let offset): [("edit", "producers"), ("since", .integer(offset))]
        }
    }

    private static func list(_ ids: [SegmentID]) -> String {
        ids.map(\.description).joined(separator: ",")
    }
}

extension SegmentInfo {
    /// What is known of a sealed segment, as an inspection shows it.
    var fields: [(name: String, value: InspectionItem.Value)] {
        [
            ("segment", .text("\(id)")), ("end", .count(end.position)),
            ("nextOffset", .integer(end.nextOffset)), ("chain", .hexadecimal(end.chain.value)),
            ("maxTimestamp", .integer(times.maxTimestamp)),
            ("maxTimestampOffset", .integer(times.maxTimestampOffset)),
            ("lastAppendTime", .integer(times.lastAppendTime)),
            ("compacted", .boolean(isCompacted)),
        ]
    }
}
