import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

/// Kafka's rules for its leader-epoch cache, the plain way: entries that deletions and truncations
/// change, and lookups from the front.
private struct KafkaEpochs {
    private var entries: [(epoch: Int32, start: Int64)] = [(0, 0)]

    mutating func assign(_ epoch: Int32, at offset: Int64) {
        entries.removeAll { $0.epoch >= epoch || $0.start >= offset }
        entries.append((epoch, offset))
    }

    mutating func truncateFromStart(_ offset: Int64) {
        guard let last = entries.last(where: { $0.start <= offset }) else { return }
        entries.removeAll { $0.start <= offset }
        entries.insert((last.epoch, offset), at: 0)
    }

    mutating func truncateFromEnd(_ offset: Int64) { entries.removeAll { $0.start >= offset } }

    var latest: Int32? { entries.last?.epoch }

    func end(of epoch: Int32, logEnd: Int64) -> (epoch: Int32, endOffset: Int64)? {
        if epoch < 0 { return nil }
        if epoch == latest { return (epoch, logEnd) }
        guard let higher = entries.first(where: { $0.epoch > epoch }) else { return nil }
        let floor = entries.last { $0.epoch <= epoch }
        return (floor?.epoch ?? epoch, higher.start)
    }
}

@Suite struct EpochCacheTests {
    /// Any run of epochs, deletions and truncations answers as Kafka's cache does.
    @Test func answersAsKafkaDoes() {
        for seed in seeds(400) {
            var random = SplitMix64(seed: seed)
            var (cache, kafka) = (EpochCache(), KafkaEpochs())
            var (start, end, newest): (Int64, Int64, Int32) = (0, 0, 0)
            for _ in 0..<30 {
                switch random.below(6) {
                case 0, 1: end += Int64(random.below(20))
                case 2, 3:
                    let epoch = cache.latest + 1 + Int32(random.below(3))
                    let isTaken = cache.start(epoch, at: end)
                    #expect(isTaken)
                    kafka.assign(epoch, at: end)
                    newest = max(newest, epoch)
                case 4:
                    start += Int64(random.below(Int(end - start) + 1))
                    kafka.truncateFromStart(start)
                    if random.coin() { cache.forget(before: start) }
                default:
                    let offset = start + Int64(random.below(Int(end - start) + 1))
                    // Kafka keeps the epoch of a log that ends where it starts.
                    if offset == start { continue }
                    end = offset
                    cache.truncate(to: offset)
                    kafka.truncateFromEnd(offset)
                }
                #expect(cache.latest == kafka.latest, "seed \(seed)")
                for epoch in -1...newest + 2 {
                    let found = cache.end(of: epoch, logStart: start, logEnd: end)
                    let expected = kafka.end(of: epoch, logEnd: end)
                    #expect(
                        found?.epoch == expected?.epoch
                            && found?.endOffset == expected?.endOffset,
                        "seed \(seed), epoch \(epoch), from \(start) to \(end)")
                }
            }
        }
    }

    /// What a replica may still read has the epoch that it had.
    @Test func whatIsForgottenIsBeforeTheStart() {
        var cache = EpochCache()
        for (epoch, offset) in [(2, 10), (3, 20), (7, 30)] as [(Int32, Int64)] {
            _ = cache.start(epoch, at: offset)
        }
        let whole = cache
        for start in 0...40 as ClosedRange<Int64> {
            var kept = whole
            kept.forget(before: start)
            for offset in start...50 { #expect(kept.epoch(at: offset) == whole.epoch(at: offset)) }
            #expect(kept.entries.count <= (start < 20 ? 3 : start < 30 ? 2 : 1))
        }
    }

    @Test func epochsGoBackInNoWay() {
        var cache = EpochCache()
        let attempts: [(epoch: Int32, offset: Int64, isTaken: Bool)] = [
            (-1, 0, false), (0, 0, true), (0, 5, false), (3, 5, true), (2, 9, false), (4, 4, false),
        ]
        for (epoch, offset, isTaken) in attempts {
            let wasTaken = cache.start(epoch, at: offset)
            #expect(wasTaken == isTaken, "epoch \(epoch) at \(offset)")
        }
        #expect(cache.end(of: 4, logStart: 0, logEnd: 9) == nil)
        #expect(cache.entries.map(\.epoch) == [0, 3])
    }
}
