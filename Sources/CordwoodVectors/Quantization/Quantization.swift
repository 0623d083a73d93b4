/// How an index keeps the components of a vector that searches compare first.
///
/// Graphs do best with ``sq8`` and ``sq4``, whose rows are compared one at a time; lists that are read
/// from end to end also with ``pq4`` and ``rabitq``. Each index names those that it knows.
public enum Quantization: String, Sendable, Hashable, CaseIterable {
    /// As 32-bit floats.
    case none
    /// In 8 bits, of which each dimension has its own range.
    case sq8
    /// In 4 bits, of which each dimension has its own range.
    case sq4
    /// Groups of components by the nearest of 16 centroids each (Jégou, Douze and Schmid, TPAMI 2011),
    /// compared by table look-ups in registers (André, Kermarrec and Le Scouarnec, VLDB 2015).
    case pq4
    /// Groups of components by the nearest of 256 centroids each.
    case pq8
    /// Signs, or a few bits, of the components after a random rotation, with a bound on the error (Gao
    /// and Long, SIGMOD 2024; arXiv 2405.12497 and 2409.09913).
    case rabitq
    /// What needs the least time at the recall that is wanted, as far as a probe tells when the index
    /// is built. An index that was built says what was chosen, never this.
    case auto
}
