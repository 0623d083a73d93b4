import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct SpaceAheadTests {
    /// Appends, reservations and steps in random order: no step touches what was claimed before it
    /// began, all lie in the file, and whoever comes too near is told.
    @Test func stepsAndAppendsNeverMeet() {
        for seed in seeds(200) {
            var random = SplitMix64(seed: seed)
            let limits = SpaceAhead.Limits.small
            let limit = 40_000 + random.below(100_000)
            var space = SpaceAhead(end: 4096, limits: limits)
            var (claimed, synced, fileBytes, zeros) = (4096, 0, 4096, 0)
            for _ in 0..<400 {
                switch (random.below(4), space.step) {
                case (0, nil), (1, nil):
                    let end = min(limit, claimed + random.below(3000))
                    space.claim(upTo: end)
                    synced += end - claimed
                    claimed = end
                    if end > space.reserved {
                        let size = space.beginReserving(upTo: end, limit: limit)
                        #expect(size >= end && size <= limit, "seed \(seed)")
                        #expect(space.begin(appended: synced, synced: synced, limit: limit) == nil)
                        let succeeds = random.below(8) > 0
                        space.endReserving(succeeds ? size : nil)
                        if !succeeds { return }
                        fileBytes = max(fileBytes, size)
                    }
                case (2, nil):
                    switch space.begin(appended: synced, synced: synced, limit: limit) {
                    case .zeros(let range):
                        zeros += 1
                        #expect(range.lowerBound >= claimed, "seed \(seed)")
                        #expect(range.lowerBound % 4096 == 0 && range.upperBound % 4096 == 0)
                        #expect(range.upperBound <= fileBytes && range.count <= limits.stepBytes)
                        #expect(range.lowerBound <= claimed + limits.windowBytes)
                        #expect(!space.isInTheWay(of: range.lowerBound))
                        #expect(space.isInTheWay(of: range.lowerBound + 1))
                    case .reserve(let size):
                        #expect(size > fileBytes && size <= limit, "seed \(seed)")
                        #expect(!space.isInTheWay(of: fileBytes))
                        #expect(space.isInTheWay(of: fileBytes + 1))
                    case nil: break
                    }
                case (3, .reserve(let size)):
                    space.end(succeeded: true)
                    fileBytes = size
                case (_, .some):
                    space.end(succeeded: true)
                    fileBytes = max(fileBytes, space.reserved)
                default: break
                }
                #expect(space.reserved == fileBytes, "seed \(seed)")
            }
            #expect(zeros > 0, "seed \(seed)")
        }
    }

    @Test func nothingIsPreparedForWhatIsNotSynced() {
        var space = SpaceAhead(end: 4096, limits: .small)
        space.claim(upTo: 5000)
        #expect(space.begin(appended: 0, synced: 0, limit: 1 << 20) == nil)
        while let step = space.begin(appended: 904, synced: 0, limit: 1 << 20) {
            guard case .reserve = step else {
                Issue.record("expected no zeros, found \(step)")
                break
            }
            space.end(succeeded: true)
        }
        #expect(space.reserved > 5000)
    }

    @Test func aFailedStepIsTheLast() {
        var space = SpaceAhead(end: 4096, limits: .small)
        let first = space.begin(appended: 1, synced: 1, limit: 1 << 20)
        #expect(first != nil)
        space.end(succeeded: false)
        #expect(space.begin(appended: 1 << 20, synced: 1 << 20, limit: 1 << 20) == nil)
        #expect(space.reserved == 4096)
    }
}
