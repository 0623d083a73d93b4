/// How far apart two vectors are. For every metric a smaller distance is nearer.
public enum Metric: String, Sendable, Hashable, CaseIterable {
    /// The squared Euclidean distance, 0 or more.
    case l2
    /// Minus the inner product.
    case innerProduct = "ip"
    /// 1 minus the cosine of the angle, from 0 (same direction) to 2. Vectors are stored at unit
    /// length. A vector of zeros has no direction: its distance to every vector, itself included,
    /// is defined as 1.
    case cosine
}
