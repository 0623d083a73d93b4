/// Holds a worker to so many bytes a second, on average since it began. Pure.
struct ByteThrottle {
    private let bytesPerSecond: Int?
    private var done = 0.0

    init(bytesPerSecond: Int?) { self.bytesPerSecond = bytesPerSecond }

    /// Takes in work that was done; how many seconds to wait before more is, `elapsed` seconds after
    /// the beginning.
    mutating func delay(after byteCount: Int, elapsed: Double) -> Double {
        guard let bytesPerSecond else { return 0 }
        done += Double(byteCount)
        return max(0, done / Double(max(1, bytesPerSecond)) - elapsed)
    }
}
