/// A bit for each vector of an index, by its place: those that a search may return.
public struct VectorBitmap: Sendable, Hashable {
    private static let wordBits = 64

    /// How many vectors there are.
    public let count: Int
    /// How many bits are set. O(1).
    public private(set) var setCount: Int
    package private(set) var words: [UInt64]

    /// All bits alike. O(count / 64).
    public init(count: Int, repeating bit: Bool = false) {
        precondition(count >= 0, "expected 0 or more, found \(count)")
        self.count = count
        setCount = bit ? count : 0
        words = Array(
            repeating: bit ? .max : 0, count: Self.wordCount(of: count))
        // Bits behind the last stay zeros, so that equal bitmaps are equal words.
        if bit, count % Self.wordBits != 0 {
            words[words.count - 1] = (1 << UInt64(count % Self.wordBits)) - 1
        }
    }

    /// `place` must be in `0..<count`.
    public subscript(place: Int) -> Bool {
        get {
            precondition((0..<count).contains(place), "expected 0..<\(count), found \(place)")
            return words[place / Self.wordBits] >> UInt64(place % Self.wordBits) & 1 == 1
        }
        set {
            precondition((0..<count).contains(place), "expected 0..<\(count), found \(place)")
            // What changes nothing does not make a copy that is shared one's own either.
            guard newValue != self[place] else { return }
            words[place / Self.wordBits] ^= 1 << UInt64(place % Self.wordBits)
            setCount += newValue ? 1 : -1
        }
    }

    /// The bitmap of these words, the first place in the lowest bit of the first; nil for another
    /// number of words than `count` bits take, and where a bit is set behind the last.
    package init?(count: Int, words: [UInt64]) {
        guard count >= 0, words.count == Self.wordCount(of: count) else { return nil }
        if count % Self.wordBits != 0, words[words.count - 1] >> UInt64(count % Self.wordBits) != 0
        {
            return nil
        }
        self.count = count
        self.words = words
        setCount = words.reduce(0) { $0 + $1.nonzeroBitCount }
    }

    /// How many words so many bits take.
    package static func wordCount(of count: Int) -> Int { (count + wordBits - 1) / wordBits }
}
