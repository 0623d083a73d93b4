/// One result of a search.
public struct Neighbor: Sendable, Hashable {
    public var id: UInt64
    /// As ``Metric`` defines it: smaller is nearer.
    public var distance: Float

    public init(id: UInt64, distance: Float) {
        self.id = id
        self.distance = distance
    }
}
