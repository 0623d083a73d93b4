#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A repeatable generator (SplitMix64): a failing test prints its seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    public let seed: UInt64
    private var state: UInt64

    public init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    public mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

/// How many seeds a seeded test runs: a count for the default run, multiplied by `CORDWOOD_SEEDS`.
public func seeds(_ count: Int) -> Range<UInt64> {
    let factor = getenv("CORDWOOD_SEEDS").flatMap { Int(String(cString: $0)) } ?? 1
    return 0..<UInt64(count * max(1, factor))
}
