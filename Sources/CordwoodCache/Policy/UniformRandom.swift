/// Numbers above 0 and at most 1, of 53 bits: SplitMix64, whose state is its seed.
@usableFromInline struct UniformRandom: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        return (Double(StableHash.spread(state) >> 11) + 0.5) * 0x1p-53
    }
}
