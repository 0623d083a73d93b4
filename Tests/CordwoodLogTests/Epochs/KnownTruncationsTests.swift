import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct KnownTruncationsTests {
    @Test func eachIsFollowedOnce() {
        var known = KnownTruncations([9, 2])
        #expect(known.count == 2)
        #expect(known.follow([9, 2]) == nil)
        #expect(known.lowest(of: [9, 2, 7, 4, 6]) == 4)
        #expect(known.count == 2, "a look alone changes nothing")
        #expect(known.follow([9, 2, 7, 4, 6]) == 4)
        #expect(known.follow([9, 2, 7, 4, 6]) == nil)
    }

    /// Whenever the log is cut while its reader asks: what the reader has followed in the end is the
    /// lowest of all.
    @Test func noneIsLostBetweenTwoLooks() {
        for seed in seeds(50) {
            var random = SplitMix64(seed: seed)
            var log: [Int64] = []
            var known = KnownTruncations(log)
            var (position, lowest) = (Int64.max, Int64.max)
            for _ in 0..<40 {
                let look = log
                if random.coin() {
                    log.append(Int64(random.below(100)))
                    lowest = min(lowest, log.last!)
                }
                // The list is the one of the look, whatever the log has by now.
                if let cut = known.follow(look) { position = min(position, cut) }
                #expect(known.count == look.count)
            }
            if let cut = known.follow(log) { position = min(position, cut) }
            #expect(position == lowest, "seed \(seed)")
        }
    }
}
