import Cordwood

/// Reads a whole log through the API that consumers use, which verifies every checksum.
enum LogReading {
    /// Megabytes a second over all batches from the start to the end that it finds.
    static func megabytesPerSecond(_ log: LogUnderTest) async throws -> Double {
        let clock = ContinuousClock()
        var bytes = 0
        var nextOffset: Int64 = 0
        let start = clock.now
        for try await batch in log.batches() {
            guard batch.baseOffset == nextOffset else {
                throw BenchError(
                    "reading: expected offset \(nextOffset), found \(batch.baseOffset)")
            }
            nextOffset = batch.lastOffset + 1
            bytes += batch.byteCount
        }
        let seconds = start.duration(to: clock.now) / .seconds(1)
        guard nextOffset == log.endOffset else {
            throw BenchError("reading: ended at \(nextOffset), expected \(log.endOffset)")
        }
        return Double(bytes) / 1e6 / seconds
    }
}
