/// What all groups have committed: the view of `__consumer_offsets`.
///
/// A pure value. Of two records for the same place the one with the larger offset in the log counts,
/// whichever is applied first: appends may return in another order than they were written in.
struct OffsetTable {
    private struct Entry {
        /// nil: deleted, kept until no older record can still arrive.
        var committed: CommittedOffset?
        var logOffset: Int64
    }

    private var groups: [String: [TopicPartition: Entry]] = [:]
    private var deleted: [(group: String, place: TopicPartition)] = []
    /// The end of the latest record that was applied.
    private(set) var appliedOffset: Int64

    init(appliedOffset: Int64) { self.appliedOffset = appliedOffset }

    /// The names of the groups that have an offset anywhere, sorted.
    var groupNames: [String] {
        groups.filter { $0.value.values.contains { $0.committed != nil } }.keys.sorted()
    }

    /// Whether anything is known of a group.
    func holds(_ group: String) -> Bool { groups[group] != nil }

    func committed(_ group: String, _ place: TopicPartition) -> CommittedOffset? {
        groups[group]?[place]?.committed
    }

    func committed(_ group: String) -> [TopicPartition: CommittedOffset] {
        (groups[group] ?? [:]).compactMapValues(\.committed)
    }

    mutating func apply(_ record: OffsetRecord, at logOffset: Int64) {
        appliedOffset = max(appliedOffset, logOffset + 1)
        let old = groups[record.group]?[record.place]
        if let old, old.logOffset > logOffset { return }
        groups[record.group, default: [:]][record.place] = Entry(
            committed: record.committed, logOffset: logOffset)
        if record.committed == nil { deleted.append((record.group, record.place)) }
    }

    /// Forgets what was deleted. Called when no record that precedes a deletion is on its way.
    mutating func purge() {
        for (group, place) in deleted where groups[group]?[place]?.committed == nil {
            groups[group]?[place] = nil
            if groups[group]?.isEmpty ?? false { groups[group] = nil }
        }
        deleted = []
    }
}
