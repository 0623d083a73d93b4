import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct CompactionMapTests {
    private func key(_ number: Int) -> [UInt8] { Array("key-\(number)".utf8) }

    /// Agrees with a dictionary, whatever is put, up to the last slot.
    @Test func agreesWithADictionary() {
        for seed in seeds(40) {
            var random = SplitMix64(seed: seed)
            let budget = [24, 48, 100, 1000, 10_000][random.below(5)]
            let map = CompactionMap(
                byteBudget: budget, expectedKeys: 1 << 20, hash: KeyHash(using: &random))
            var model: [Int: Int64] = [:]
            let keys = 1 + random.below(2 * map.capacity)
            for offset in 0..<Int64(4 * keys) {
                let number = random.below(keys)
                let fits = key(number).withUnsafeBytes { map.put(map.hash($0), offset: offset) }
                #expect(
                    fits == (model[number] != nil || model.count < map.capacity), "seed \(seed)")
                if fits { model[number] = offset }
                #expect(map.count == model.count)
            }
            for number in 0..<keys {
                let found = key(number).withUnsafeBytes { map.offset(of: map.hash($0)) }
                #expect(found == model[number], "seed \(seed), key \(number)")
            }
        }
    }

    /// An offset is never replaced by an earlier one.
    @Test func keepsTheLargestOffset() {
        let map = CompactionMap(byteBudget: 1000, expectedKeys: 10, hash: KeyHash(1, 2))
        for offset: Int64 in [5, 9, 7] {
            #expect(key(0).withUnsafeBytes { map.put(map.hash($0), offset: offset) })
        }
        #expect(key(0).withUnsafeBytes { map.offset(of: map.hash($0)) } == 9)
        #expect(map.count == 1)
    }

    /// The table takes no more than its budget, and no more than the keys need.
    @Test(arguments: [48, 1000, 4096, 1 << 20])
    func staysWithinItsBudget(budget: Int) {
        let map = CompactionMap(byteBudget: budget, expectedKeys: .max / 4, hash: KeyHash(1, 2))
        #expect(map.byteCount <= budget)
        #expect(map.capacity <= budget / 24 * 9 / 10 + 1)
        let small = CompactionMap(byteBudget: budget, expectedKeys: 3, hash: KeyHash(1, 2))
        #expect(small.byteCount <= 5 * 24)
        #expect(small.capacity >= min(3, map.capacity))
    }

    /// The default budget holds what Kafka's does.
    @Test func theDefaultHoldsFiveMillionKeys() {
        let slots = CompactionOptions().mapBytes / CompactionMap.slotByteCount
        #expect(CompactionMap.slotByteCount == 24)
        #expect(Int(Double(slots) * CompactionMap.loadFactor) > 5_000_000)
    }
}
