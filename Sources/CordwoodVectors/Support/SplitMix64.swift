/// Random numbers that follow from a seed (Steele, Lea and Flood, OOPSLA 2014).
struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// A number below `bound`, which must be above zero.
    mutating func next(below bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// `count` different numbers below `bound`, in random order. O(bound).
    mutating func sample(_ count: Int, below bound: Int) -> [Int] {
        var numbers = Array(0..<bound)
        for place in 0..<count {
            numbers.swapAt(place, place + next(below: bound - place))
        }
        return Array(numbers.prefix(count))
    }
}
