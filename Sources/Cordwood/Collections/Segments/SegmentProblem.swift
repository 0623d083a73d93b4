/// Why a file of a collection's segments is not used. What it held is read from the log again.
struct SegmentProblem: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
