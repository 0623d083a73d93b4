/// How much work a search behind damage may be: bytes may be made to look like the beginning of a
/// batch or an edit at every place, each of which would cost a checksum over what it claims.
///
/// A search that runs out finds nothing. Bytes that nobody made to deceive come nowhere near.
struct SearchBudget {
    private var left: Int

    /// For a search through so many bytes.
    init(for byteCount: Int) {
        let (product, overflow) = byteCount.multipliedReportingOverflow(by: Self.worth)
        left = overflow ? .max : max(product, Self.least)
    }

    /// How often each byte may be looked at.
    private static let worth = 64
    private static let least = 64 << 20
    /// What a step over a header counts for.
    static let headerBytes = 64

    /// Whether a search may have ended for want of it.
    var isSpent: Bool { left == 0 }

    /// Takes work of so many bytes from the budget; false when there is not as much left.
    mutating func spend(_ byteCount: Int) -> Bool {
        left -= min(byteCount, left)
        return left > 0
    }
}
