import TestSupport

extension SeededGenerator {
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
