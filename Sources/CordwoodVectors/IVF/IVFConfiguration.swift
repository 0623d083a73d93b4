/// How lists of near vectors are made. The names are those of the paper (Jégou, Douze and Schmid, TPAMI
/// 2011) and of faiss, where nlist is ``lists``.
public struct IVFConfiguration: Sendable, Hashable {
    public static let listsRange = 1...65_536
    public static let groupWidthRange = 1...64
    public static let rabitqBitsRange = 1...8
    /// What the vectors in lists can be kept as.
    public static let quantizations: [Quantization] = [
        .none, .sq8, .pq4, .pq8, .rabitq, .auto,
    ]

    /// How many lists there are; without it about four times the root of the number of vectors. There are
    /// never more than vectors. An index says how many it has.
    public var lists: Int?
    /// What searches compare first. An index that was built with ``Quantization/auto`` says what was
    /// chosen.
    public var quantization: Quantization
    /// Components to each group of ``Quantization/pq4``, where it is 2 when it is not given, and of
    /// ``Quantization/pq8``, where it is 4: a quarter of a byte to each component, twice.
    public var groupWidth: Int?
    /// Bits to each component of ``Quantization/rabitq``.
    public var rabitqBits: Int
    /// Whether the vectors themselves are kept beside their codes, so that the nearest by their codes
    /// are compared once more, exactly. Without them an index takes far less memory, and its recall
    /// has a ceiling.
    public var keepsVectors: Bool
    /// The vectors that centroids are made of follow from it.
    public var seed: UInt64

    public init(
        lists: Int? = nil, quantization: Quantization = .auto, groupWidth: Int? = nil,
        rabitqBits: Int = 4, keepsVectors: Bool = true, seed: UInt64 = 0
    ) {
        self.lists = lists
        self.quantization = quantization
        self.groupWidth = groupWidth
        self.rabitqBits = rabitqBits
        self.keepsVectors = keepsVectors
        self.seed = seed
    }

    /// Vectors are there: beside codes, or because there are no codes.
    var hasExactRows: Bool { keepsVectors || quantization == .none }

    /// The number of lists for so many vectors.
    func listCount(for count: Int) -> Int {
        let range = Self.listsRange
        let usual = Int((4 * Double(count).squareRoot()).rounded())
        return min(max(count, 1), lists ?? min(max(usual, range.lowerBound), range.upperBound))
    }

    /// Throws ``VectorError/Code/invalidConfiguration`` where a number is out of range.
    public func validate() throws(VectorError) {
        func check(_ value: Int?, _ range: ClosedRange<Int>, _ name: String) throws(VectorError) {
            guard let value, !range.contains(value) else { return }
            throw VectorError(
                .invalidConfiguration,
                "\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
        }
        guard Self.quantizations.contains(quantization) else {
            throw VectorError(
                .invalidConfiguration,
                "quantization: expected one of \(Self.quantizations.map(\.rawValue)), "
                    + "found \(quantization.rawValue)")
        }
        try check(lists, Self.listsRange, "lists")
        try check(groupWidth, Self.groupWidthRange, "groupWidth")
        try check(rabitqBits, Self.rabitqBitsRange, "rabitqBits")
    }
}
