import CordwoodSimulation
import Synchronization
import Testing

@testable import CordwoodLog

@Suite struct ContextPoolTests {
    /// Knows when two use it at the same time, and how many there are.
    private final class Context: Sendable {
        static let count = Atomic<Int>(0)
        private let isUsed = Atomic<Bool>(false)

        init() { Self.count.add(1, ordering: .relaxed) }
        deinit { Self.count.subtract(1, ordering: .relaxed) }

        func use() {
            let wasUsed = isUsed.exchange(true, ordering: .acquiringAndReleasing)
            #expect(!wasUsed)
            for _ in 0..<200 { _ = Self.count.load(ordering: .relaxed) }
            isUsed.store(false, ordering: .releasing)
        }
    }

    private struct Refusal: Error {}

    /// One user at a time, given back after an error, too, and no more kept than the bound.
    @Test func contextsHaveOneUserAndABound() async {
        let pool = ContextPool<Context>()
        await withTaskGroup { group in
            for task in 0..<16 {
                group.addTask {
                    for turn in 0..<100 {
                        do throws(Refusal) {
                            try pool.withContext(make: Context.init) { (context) throws(Refusal) in
                                context.use()
                                if (task + turn) % 3 == 0 { throw Refusal() }
                            }
                        } catch {}
                    }
                }
            }
        }
        #expect((1...8).contains(pool.idleCount))
        #expect(Context.count.load(ordering: .relaxed) == pool.idleCount)
        // More than are kept, nested, each a context of its own.
        func nest(_ depth: Int) {
            pool.withContext(make: Context.init) { context in
                context.use()
                if depth > 1 { nest(depth - 1) }
            }
        }
        nest(20)
        #expect(pool.idleCount == 8)
        #expect(Context.count.load(ordering: .relaxed) == 8)
    }

    /// The codecs from many tasks at once, hostile bytes among them: each gets what is its own.
    @Test func codecsServeManyTasks() async {
        await withTaskGroup { group in
            for task in 0..<8 as Range<UInt64> {
                group.addTask {
                    var random = SplitMix64(seed: task)
                    for _ in 0..<30 {
                        let type = compressionTypes[random.below(compressionTypes.count)]
                        let sample = compressibleBytes(
                            1 + random.below(60_000), seed: random.next())
                        let good = type.compressed(sample)
                        var bad = good
                        bad[random.below(bad.count)] ^= 0x55
                        _ = try? type.codec.inflated(bad, limit: 100_000)
                        #expect((try? type.codec.inflated(good)) == sample)
                    }
                }
            }
        }
    }
}
