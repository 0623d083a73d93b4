/// A repeatable generator (SplitMix64). Tests print its seed in their failures.
struct Generator: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// Components between -1 and 1.
    mutating func vector(_ dimensions: Int) -> [Float] {
        (0..<dimensions).map { _ in Float(Int32(truncatingIfNeeded: next())) * 0x1p-31 }
    }

    /// Small whole components, whose sums are exact in single precision, so that ties are ties.
    mutating func wholeVector(_ dimensions: Int, in range: ClosedRange<Int> = -2...2) -> [Float] {
        (0..<dimensions).map { _ in Float(Int.random(in: range, using: &self)) }
    }
}

/// A batch of one query `count` times.
func repeated(_ query: [Float], _ count: Int) -> [Float] {
    Array(repeatElement(query, count: count).joined())
}
