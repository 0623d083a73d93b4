/// Files of a collection's segments that cannot be used. The points of such a segment are read from the
/// log and found in the head until they are sealed again, which the background sees to.
public struct SegmentDamage: Sendable, Hashable {
    /// The segment; nil where it is what names them, so that all are built again.
    public var segment: Int64?
    /// What was expected and found.
    public var problem: String
}
