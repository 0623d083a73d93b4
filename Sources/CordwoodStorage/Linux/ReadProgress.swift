import Glibc

/// Decides what a read asks of the kernel next, until all bytes are there or the file has ended.
struct ReadProgress {
    enum Outcome: Equatable {
        /// `count` bytes were read: all, or those before the end of the file.
        case done(count: Int)
        /// Read on.
        case again
        case failed(Int32)
    }

    /// The most bytes asked for at once: below the kernel's own bound, and within 32 bits.
    static let maximumStepBytes = 1 << 30

    /// How many reads in a row may move nothing before the read fails.
    static let maximumStalls = 32

    let count: Int
    private(set) var filled = 0
    private var stalls = 0

    init(count: Int) { self.count = count }

    /// How many bytes to ask for now.
    var nextCount: Int { min(count - filled, Self.maximumStepBytes) }

    /// Notes a result: bytes read (0 at the end of the file), or a negated error number.
    mutating func record(_ result: Int) -> Outcome {
        if result > 0 {
            precondition(result <= nextCount, "the kernel read more than there is room for")
            filled += result
            stalls = 0
            return filled == count ? .done(count: count) : .again
        }
        switch Int32(-result) {
        case 0: return .done(count: filled)
        case EINTR, EAGAIN, ECANCELED:
            stalls += 1
            return stalls > Self.maximumStalls ? .failed(Int32(-result)) : .again
        case let number: return .failed(number)
        }
    }
}
