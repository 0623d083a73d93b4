/// How an index keeps the components of a vector that searches compare first.
public enum Quantization: String, Sendable, Hashable, CaseIterable {
    /// As 32-bit floats.
    case none
    /// In 8 bits, of which each dimension has its own range.
    case sq8
    /// In 4 bits, of which each dimension has its own range.
    case sq4
}
