/// What the vectors nearest by their codes are compared with once more.
public enum Reranking: String, Sendable, Hashable, CaseIterable {
    /// Nothing: the distances of codes are the result. The least memory, and a ceiling to recall.
    case none
    /// The vectors rounded to 16-bit floats, of 11 bits of precision: half the memory of ``f32``, and
    /// distances that are off by some thousandth. Where a vector is not within 2^-10 of its length then
    /// (a component beyond 65,504, or all of them tiny), the index keeps ``f32``, and says so.
    case f16
    /// The vectors themselves.
    case f32
}
