/// A time that respects causes: milliseconds since 1970 and, within one millisecond, a counter.
///
/// 64 bits, of which 48 are milliseconds (until the year 10889) and 16 the counter, so that timestamps
/// compare as one number. Any 64 bits are a timestamp.
public struct HybridTimestamp: Hashable, Sendable {
    public static let maximumMilliseconds: Int64 = 1 << 48 - 1

    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Throws: ``CausalityError/Code/timeOutOfRange`` for a time before 1970 or after 2^48 - 1 ms.
    public init(milliseconds: Int64, counter: UInt16 = 0) throws(CausalityError) {
        guard milliseconds >= 0, milliseconds <= Self.maximumMilliseconds else {
            throw CausalityError(
                .timeOutOfRange,
                "expected 0 to \(Self.maximumMilliseconds) ms since 1970, found \(milliseconds)")
        }
        rawValue = UInt64(milliseconds) << 16 | UInt64(counter)
    }

    public var milliseconds: Int64 { Int64(rawValue >> 16) }
    public var counter: UInt16 { UInt16(truncatingIfNeeded: rawValue) }
}

extension HybridTimestamp: Comparable {
    public static func < (a: HybridTimestamp, b: HybridTimestamp) -> Bool {
        a.rawValue < b.rawValue
    }
}

extension HybridTimestamp: CustomStringConvertible {
    public var description: String { "\(milliseconds).\(counter)" }
}
