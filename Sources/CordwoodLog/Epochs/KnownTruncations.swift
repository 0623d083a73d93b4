/// Which truncations of a log its reader knows of.
///
/// Each question takes the log's list as it is at one moment: a truncation that came between a look
/// for what is new and a count of what is there would be known, and never followed.
package struct KnownTruncations: Sendable {
    package private(set) var count: Int

    package init(_ truncations: [Int64]) { count = truncations.count }

    /// The lowest offset that the log was cut to by those that are not known; nil where there are
    /// none.
    package func lowest(of truncations: [Int64]) -> Int64? { truncations.dropFirst(count).min() }

    /// The same, and all are known from then on.
    package mutating func follow(_ truncations: [Int64]) -> Int64? {
        defer { count = truncations.count }
        return lowest(of: truncations)
    }
}
