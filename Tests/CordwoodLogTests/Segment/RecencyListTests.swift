import CordwoodSimulation
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct RecencyListTests {
    /// Against an array that is searched.
    @Test func agreesWithAnArray() {
        for seed in seeds(50) {
            var random = SplitMix64(seed: seed)
            var list = RecencyList<Int>()
            /// The oldest first.
            var model: [(key: UInt64, value: Int, bytes: Int)] = []
            for step in 0..<400 {
                let key = UInt64(random.below(12))
                let place = model.firstIndex { $0.key == key }
                switch random.below(5) {
                case 0, 1:
                    let bytes = random.below(100)
                    list.insert(step, key, byteCount: bytes)
                    if let place { model.remove(at: place) }
                    model.append((key, step, bytes))
                case 2:
                    #expect(list.use(key) == place.map { model[$0].value }, "seed \(seed)")
                    if let place { model.append(model.remove(at: place)) }
                case 3:
                    #expect(list.remove(key) == place.map { model.remove(at: $0).value })
                default:
                    let oldest = model.isEmpty ? nil : model.removeFirst().value
                    #expect(list.removeOldest() == oldest, "seed \(seed), step \(step)")
                }
                #expect(list.count == model.count)
                #expect(list.byteCount == model.reduce(0) { $0 + $1.bytes })
            }
        }
    }

    /// A value that was removed is released, not kept in a free place.
    @Test func letsGoOfWhatWasRemoved() {
        final class Token {}
        var list = RecencyList<Token>()
        weak var token: Token?
        do {
            let strong = Token()
            token = strong
            list.insert(strong, 1, byteCount: 0)
        }
        #expect(token != nil)
        list.remove(1)
        #expect(token == nil)
    }
}
