/// Holds a time index against the batches of its segment, in one walk over both. Pure; O(1) a batch.
struct TimeIndexCheck {
    private let index: TimeIndex
    private var next = 0
    private var last: Int
    /// The largest timestamp of all batches so far.
    private var maxTimestamp: Int64 = -1

    /// Entries behind the offset `end` are left out.
    init(_ index: TimeIndex, upTo end: Int64) {
        self.index = index
        last = index.entries.count
        while last > 0, index.offset(of: index.entries[last - 1]) > end { last -= 1 }
    }

    /// Takes in a place between two batches, or the end. Returns what the entries up to there have
    /// wrong; after that the rest is not looked at.
    mutating func arrive(at offset: Int64) -> String? {
        guard next < last else { return nil }
        let entry = index.entries[next]
        let place = index.offset(of: entry)
        guard place <= offset else { return nil }
        next += 1
        guard place == offset else {
            stop()
            return "entry \(next - 1) is for offset \(place), where no batch begins"
        }
        guard entry.timestamp == maxTimestamp else {
            stop()
            return "entry \(next - 1), for offset \(place): expected \(maxTimestamp), the largest "
                + "timestamp before it, found \(entry.timestamp)"
        }
        return nil
    }

    mutating func absorb(_ header: BatchHeader) {
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
    }

    mutating func stop() { next = last }
}
