import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct RetentionPlanTests {
    private func segment(
        _ number: Int, bytes: Int = 100, stamp: Int64, appended: Int64
    ) -> RetentionPlan.Segment {
        RetentionPlan.Segment(
            id: SegmentID(baseOffset: Int64(number * 10)), endOffset: Int64(number * 10 + 10),
            byteCount: bytes,
            times: SegmentTimes(
                maxTimestamp: stamp, maxTimestampOffset: 0, lastAppendTime: appended))
    }

    private func plan(
        bytes: Int? = nil, milliseconds: Int? = nil, now: Int64 = 1000, start: Int64 = 0,
        highWatermark: Int64 = .max, policy: CleanupPolicy = .delete
    ) -> RetentionPlan {
        var configuration = LogConfiguration()
        configuration.retentionBytes = bytes
        configuration.retentionMilliseconds = milliseconds
        configuration.cleanupPolicy = policy
        return RetentionPlan(
            startOffset: start, highWatermark: highWatermark, configuration: configuration,
            now: now)
    }

    private func count(_ plan: RetentionPlan, _ segments: [RetentionPlan.Segment]) -> Int {
        var sightings: RetentionPlan.Sightings = [:]
        return plan.count(segments, &sightings)
    }

    @Test func bytesKeepWhatReachesTheLimit() {
        let segments = (0..<5).map { segment($0, stamp: 1, appended: 1) }
        for (limit, expected) in [(0, 5), (1, 4), (100, 4), (101, 3), (400, 1), (401, 0), (999, 0)]
        {
            #expect(count(plan(bytes: limit), segments) == expected, "\(limit)")
        }
        #expect(count(plan(), segments) == 0)
        #expect(count(plan(bytes: 0, policy: .compact), segments) == 0)
        #expect(count(plan(bytes: 0, highWatermark: 35), segments) == 3)
    }

    @Test func aTimestampInTheFutureKeepsNothing() {
        let segments = [
            segment(0, stamp: .max, appended: 100), segment(1, stamp: -1, appended: 150),
            segment(2, stamp: 400, appended: 450), segment(3, stamp: .max, appended: 990),
        ]
        #expect(count(plan(milliseconds: 500), segments) == 3)
        #expect(count(plan(milliseconds: 600), segments) == 2)
        #expect(count(plan(milliseconds: 0, now: .max), segments) == 4)
        #expect(count(plan(milliseconds: 0, now: .min), segments) == 0)
    }

    /// A clock that was ahead: later segments bound the time; without any, age counts from when it
    /// was noticed.
    @Test func aClockThatWasAheadDelaysNoMoreThanTheLimit() {
        let ahead = segment(0, stamp: 1_000_000, appended: 1_000_000)
        let later = segment(1, stamp: 300, appended: 300)
        #expect(count(plan(milliseconds: 500), [ahead, later]) == 2)
        var sightings: RetentionPlan.Sightings = [:]
        #expect(plan(milliseconds: 500, now: 1000).count([ahead], &sightings) == 0)
        #expect(plan(milliseconds: 500, now: 1500).count([ahead], &sightings) == 0)
        #expect(plan(milliseconds: 500, now: 1501).count([ahead], &sightings) == 1)
    }

    @Test func whatLiesBeforeTheStartGoesWhateverThePolicy() {
        let segments = (0..<5).map { segment($0, stamp: 900, appended: 900) }
        #expect(count(plan(start: 29, policy: .compact), segments) == 2)
        #expect(count(plan(start: 30, policy: .compact), segments) == 3)
    }

    /// For any input: a prefix, nothing beyond the high watermark, and no segment younger than the
    /// limit by both of its times unless the bytes or the start say so.
    @Test func neverTakesWhatIsYoung() {
        for seed in seeds(300) {
            var random = SplitMix64(seed: seed)
            let segments = (0..<random.below(8)).map { number in
                segment(
                    number, bytes: 1 + random.below(200), stamp: Int64(random.below(3000)) - 1,
                    appended: Int64(random.below(2000)))
            }
            let limit = random.below(1500)
            let plan = plan(
                milliseconds: limit, now: Int64(random.below(2500)),
                highWatermark: Int64(random.below(90)))
            var sightings: RetentionPlan.Sightings = [:]
            let count = plan.count(segments, &sightings)
            for segment in segments.prefix(count) {
                #expect(segment.endOffset <= plan.highWatermark, "seed \(seed)")
            }
            let taken = segments.prefix(count).indices.last
            if let taken {
                let bounds = segments[taken...].map(\.times.lastAppendTime).filter { $0 > 0 }
                let stamps = [segments[taken].times.maxTimestamp].filter { $0 >= 0 }
                let time = (bounds + stamps).min() ?? .max
                #expect(plan.now - time > Int64(limit), "seed \(seed)")
            }
        }
    }
}
