/// Decides how many of a log's oldest segments are given up: pure, so that every rule can be tested
/// without a disk.
///
/// Whole segments go, from the oldest on, never one that holds records behind the high watermark.
/// A segment goes when
/// - all of it lies before the log's start, whatever the cleanup policy; or, with
///   ``CleanupPolicy/delete``,
/// - those behind it hold `retentionBytes` or more; or
/// - it is older than `retentionMilliseconds`.
///
/// **The age of a segment** is counted from the smaller of its largest record timestamp and the
/// time of its last append, so that a timestamp in the future cannot keep it: producers choose
/// timestamps, the log's clock says when records came. A segment was appended to before all that
/// follow it, so their times bound its own where the clock was ahead. A time that is in the future
/// even so counts from when it was first noticed.
struct RetentionPlan {
    struct Segment: Equatable {
        var id: SegmentID
        var endOffset: Int64
        var byteCount: Int
        var times: SegmentTimes
    }

    /// When a segment was first found to have been written in the future, by the log's clock.
    typealias Sightings = [SegmentID: Int64]

    var startOffset: Int64
    var highWatermark: Int64
    var configuration: LogConfiguration
    var now: Int64

    /// How many of `segments` go, oldest first; the active one is the last, left out where it is
    /// empty. O(segments).
    func count(_ segments: [Segment], _ sightings: inout Sightings) -> Int {
        let expired = expiredCount(segments, &sightings)
        let deletes = configuration.cleanupPolicy.contains(.delete)
        var total = segments.reduce(0) { $0 + $1.byteCount }
        var count = 0
        for segment in segments {
            total -= segment.byteCount
            let isTooMuch = configuration.retentionBytes.map { total >= $0 } ?? false
            guard segment.endOffset <= highWatermark,
                segment.endOffset <= startOffset || (deletes && (isTooMuch || count < expired))
            else { break }
            count += 1
        }
        return count
    }

    /// How many of the oldest segments are too old.
    private func expiredCount(_ segments: [Segment], _ sightings: inout Sightings) -> Int {
        var seen: Sightings = [:]
        defer { sightings = seen }
        guard let limit = configuration.retentionMilliseconds else { return 0 }
        var bound = Int64.max
        var times: [Int64] = []
        for segment in segments.reversed() {
            if segment.times.lastAppendTime > 0 { bound = min(bound, segment.times.lastAppendTime) }
            var time = bound
            if segment.times.maxTimestamp >= 0 { time = min(time, segment.times.maxTimestamp) }
            if time > now {
                time = min(sightings[segment.id] ?? now, now)
                seen[segment.id] = time
            }
            times.append(time)
        }
        return times.reversed().prefix { isOlder($0, than: limit) }.count
    }

    private func isOlder(_ time: Int64, than limit: Int) -> Bool {
        let (age, overflow) = now.subtractingReportingOverflow(time)
        return overflow ? now > time : age > Int64(limit)
    }
}
