import Glibc

/// A sequence of keys that a cache is asked for, the same for the same seed.
struct CacheTrace {
    let name: String
    let keys: [UInt64]
    /// How many keys are different.
    let objects: Int

    private static let objectCount = 100_000
    /// Capacities that are tried, as parts of the keys that are different and are not asked for only once.
    static let sizes = [0.002, 0.01, 0.05, 0.1, 0.25].map { Int($0 * Double(objectCount)) }

    static let names = ["zipf-0.7", "zipf-0.99", "zipf-1.2", "loop", "scans"]

    init(_ name: String, requests: Int) throws {
        self.name = name
        var random = SplitMix64(seed: 1)
        switch name {
        case "zipf-0.7": keys = Self.zipf(0.7, requests, &random)
        case "zipf-0.99": keys = Self.zipf(0.99, requests, &random)
        case "zipf-1.2": keys = Self.zipf(1.2, requests, &random)
        // A little longer than the second largest cache, and a half of the largest.
        case "loop": keys = (0..<requests).map { UInt64($0 % 12_000) }
        case "scans": keys = Self.scans(requests, &random)
        default:
            throw BenchError(
                "expected a trace of \(Self.names.joined(separator: ", ")), found \(name)")
        }
        objects = Set(keys).count
    }

    /// Independent draws, where the i-th key is as likely as i^-skew.
    private static func zipf(
        _ skew: Double, _ requests: Int, _ random: inout SplitMix64
    ) -> [UInt64] {
        var sums: [Double] = []
        var sum = 0.0
        for rank in 1...objectCount {
            sum += pow(Double(rank), -skew)
            sums.append(sum)
        }
        return (0..<requests).map { _ in
            let draw = Double(random.next() >> 11) * 0x1p-53 * sum
            var (low, high) = (0, objectCount - 1)
            while low < high {
                let middle = (low + high) / 2
                if sums[middle] < draw { low = middle + 1 } else { high = middle }
            }
            return UInt64(low)
        }
    }

    /// Zipf 0.99 with, after every 20,000 requests, 10,000 keys that come once.
    private static func scans(_ requests: Int, _ random: inout SplitMix64) -> [UInt64] {
        let used = zipf(0.99, requests, &random)
        var keys: [UInt64] = []
        keys.reserveCapacity(requests)
        var nextScanned = UInt64(objectCount)
        for key in used {
            keys.append(key)
            if keys.count % 30_000 == 20_000 {
                keys.append(contentsOf: nextScanned..<nextScanned + 10_000)
                nextScanned += 10_000
            }
            if keys.count >= requests { break }
        }
        return Array(keys.prefix(requests))
    }

    /// The trace as libCacheSim's oracleGeneral: for each request the time (4 bytes), the key (8), the
    /// size (4) and the number of the next request of the key (8), little-endian; the largest number
    /// where there is none.
    func oracleGeneral() -> [UInt8] {
        var next: [UInt64: Int64] = [:]
        var following = [Int64](repeating: .max, count: keys.count)
        for index in keys.indices.reversed() {
            following[index] = next[keys[index]] ?? .max
            next[keys[index]] = Int64(index)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(keys.count * 24)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        for index in keys.indices {
            append(UInt32(index))
            append(keys[index])
            append(UInt32(1))
            append(following[index])
        }
        return bytes
    }
}
