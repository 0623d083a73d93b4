import CordwoodVectors

/// A ``CollectionView``, whatever storage its threads belong to.
protocol CollectionViewing: Sendable {
    var appliedOffset: Int64 { get }
    var pointCount: Int { get }
    var headCount: Int { get }
    var isSealDue: Bool { get }
    func apply(_ mutations: [PointMutation], at offsets: Range<Int64>) async
    func abandon(from offset: Int64)
    func checkFollows() throws(VectorError)
    func offset(of id: UInt64) async -> Int64?
    func bytesAllocated() async -> Int
    func segments() async -> [SegmentSummary]
    var damage: [SegmentDamage] { get }
    func search(
        _ search: PointSearch, truncations: Int
    ) async throws(DatabaseError) -> [[Neighbor]]
    func search(
        _ search: PointSearch, within distance: Float, truncations: Int
    ) async throws(DatabaseError) -> [Neighbor]
    func seal(_ request: SealRequest, truncations: Int) async throws(DatabaseError) -> Bool
}
