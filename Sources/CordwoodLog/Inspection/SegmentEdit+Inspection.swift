extension SegmentEdit {
    /// The edit as an inspection shows it.
    var fields: [(name: String, value: InspectionItem.Value)] {
        switch self {
        case .add(let base): [("edit", "add"), ("segment", .integer(base))]
        case .seal(let base, let end):
            [
                ("edit", "seal"), ("segment", .integer(base)), ("end", .count(end.position)),
                ("nextOffset", .integer(end.nextOffset)), ("chain", .hexadecimal(end.chain.value)),
            ]
        case .quarantine(let base, let gap):
            [
                ("edit", "quarantine"), ("segment", .integer(base)),
                ("from", .count(gap.positions.lowerBound)),
                ("to", .count(gap.positions.upperBound)),
                ("firstOffset", .integer(gap.offsets.lowerBound)),
                ("nextOffset", .integer(gap.offsets.upperBound)),
            ]
        }
    }
}
