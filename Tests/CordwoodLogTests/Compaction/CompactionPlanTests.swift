import Testing

@testable import CordwoodLog

@Suite struct CompactionPlanTests {
    private func segment(
        _ offsets: Range<Int64>, bytes: Int = 1000, time: Int64 = 0, appended: Int64 = 0
    ) -> SegmentInfo {
        SegmentInfo(
            id: SegmentID(baseOffset: offsets.lowerBound),
            end: SegmentCursor(
                position: bytes, nextOffset: offsets.upperBound, chain: BatchChain(value: 0)),
            times: SegmentTimes(
                maxTimestamp: time, maxTimestampOffset: 0, lastAppendTime: appended))
    }

    private func plan(
        _ segments: [SegmentInfo], start: Int64 = 0, cleaned: Int64 = 0, stable: Int64 = .max,
        now: Int64 = 1000, lag: Int = 0
    ) -> CompactionPlan {
        var configuration = LogConfiguration()
        configuration.minCompactionLagMilliseconds = lag
        return CompactionPlan(
            segments, startOffset: start, cleanedUpTo: cleaned, stableOffset: stable, now: now,
            configuration: configuration)
    }

    @Test func countsCleanAndDirty() {
        let segments = [segment(0..<10), segment(10..<20, bytes: 3000), segment(20..<30)]
        let all = plan(segments)
        #expect(all.segmentCount == 3 && all.cleanBytes == 0 && all.cleanableBytes == 5000)
        #expect(all.dirtyRatio == 1)
        let half = plan(segments, cleaned: 20)
        #expect(half.cleanBytes == 4000 && half.cleanableBytes == 1000)
        #expect(half.dirtyRatio == 0.2)
        // A segment that was compacted in part is dirty.
        #expect(plan(segments, cleaned: 19).cleanableBytes == 4000)
        #expect(plan(segments, cleaned: 30).dirtyRatio == 0)
        #expect(plan([]).dirtyRatio == 0)
        #expect(plan(segments, start: 25, cleaned: 3).firstDirtyOffset == 25)
    }

    @Test func stopsBeforeWhatIsNotDecided() {
        let segments = [segment(0..<10), segment(10..<20), segment(20..<30)]
        #expect(plan(segments, stable: 30).segmentCount == 3)
        #expect(plan(segments, stable: 29).segmentCount == 2)
        #expect(plan(segments, stable: 0).segmentCount == 0)
    }

    @Test func waitsForTheMinimumLag() {
        let segments = [
            segment(0..<10, time: 100), segment(10..<20, time: 500), segment(20..<30, time: 100),
        ]
        #expect(plan(segments, lag: 500).segmentCount == 3)
        #expect(plan(segments, lag: 501).segmentCount == 1)
        // A timestamp in the future counts no more than the log's own clock.
        let future = [segment(0..<10, time: .max, appended: 400)]
        #expect(plan(future, lag: 600).segmentCount == 1)
        #expect(plan(future, lag: 601).segmentCount == 0)
        #expect(plan([segment(0..<1, time: .min)], lag: 5).segmentCount == 1)
    }

    @Test func groupsWhatFitsIntoOneSegment() {
        let page = SegmentHeader.byteCount
        let segments = (0..<5).map {
            segment(Int64($0) * 10..<Int64($0) * 10 + 10, bytes: page + 100)
        }
        #expect(CompactionPlan.groupCount(segments, segmentBytes: page + 300) == 3)
        #expect(CompactionPlan.groupCount(segments, segmentBytes: page + 299) == 2)
        #expect(CompactionPlan.groupCount(segments, segmentBytes: 1) == 1)
        #expect(CompactionPlan.groupCount([SegmentInfo](), segmentBytes: 1) == 0)
        let wide = [segment(0..<10), segment(10..<Int64(Int32.max) + 2)]
        #expect(CompactionPlan.groupCount(wide, segmentBytes: 1 << 30) == 1)
    }

    @Test func theThrottleKeepsTheAverage() {
        var throttle = ByteThrottle(bytesPerSecond: 1000)
        #expect(throttle.delay(after: 500, elapsed: 0) == 0.5)
        #expect(throttle.delay(after: 500, elapsed: 0.5) == 0.5)
        #expect(throttle.delay(after: 100, elapsed: 5) == 0)
        var free = ByteThrottle(bytesPerSecond: nil)
        #expect(free.delay(after: .max, elapsed: 0) == 0)
    }
}
