/// What a verification read and found.
public struct VerificationReport: Sendable, Hashable {
    public var segments = 0
    public var batches = 0
    public var records = 0
    public var bytes = 0
    public var damage: [Damage] = []

    public init() {}

    /// Whether every checksum held.
    public var isSound: Bool { damage.isEmpty }

    public static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.segments += b.segments
        sum.batches += b.batches
        sum.records += b.records
        sum.bytes += b.bytes
        sum.damage += b.damage
        return sum
    }
}
