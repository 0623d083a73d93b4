import CBenchmarkLimits
import CordwoodVectors

/// What a walk over a graph is bound by: reading rows that lie anywhere in memory.
///
/// Reads as many rows of the same sizes, out of as much memory, whose places are known ahead. A walk
/// finds them out as it goes, so that it cannot be faster.
struct GatherProbe {
    private static let lineBytes = 64
    private static let gathered = 1 << 20
    private static let rounds = 3

    /// Nanoseconds a query takes at least, from what it reads of an index of `count` vectors.
    static func nanoseconds(for reads: [HNSWSearchStatistics.Reads], queries: Int, of count: Int)
        throws -> Double
    {
        var sum = 0.0
        for read in reads where read.count > 0 {
            let lines = (read.bytes / read.count + lineBytes - 1) / lineBytes
            let row = try nanosecondsPerRow(floats: 16 * lines, of: count)
            sum += Double(read.count) / Double(queries) * row
        }
        return sum
    }

    /// The best of a few rounds: a limit.
    private static func nanosecondsPerRow(floats stride: Int, of count: Int) throws -> Double {
        guard let floats = benchmark_allocate(count * stride) else {
            throw BenchError("no memory for \(count * stride) floats")
        }
        defer { benchmark_free(floats, count * stride) }
        for index in Swift.stride(from: 0, to: count * stride, by: 1024) { floats[index] = 1 }
        var random = SplitMix64(seed: 1)
        let rows = (0..<gathered).map { _ in UInt32(random.next() % UInt64(count)) }
        var best = Double.infinity
        for _ in 0..<rounds {
            let time = ContinuousClock().measure {
                _ = benchmark_gather(floats, rows, rows.count, stride)
            }
            best = min(best, time / .nanoseconds(1) / Double(gathered))
        }
        return best
    }
}
