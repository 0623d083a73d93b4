import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Index files of sealed segments that lie.
@Suite struct IndexFileTests {
    private static var configuration: LogConfiguration {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.indexIntervalBytes = 64
        configuration.segmentBytes = 80_000
        return configuration
    }

    /// A log of one sealed segment with several pages of either index.
    private func log(_ storage: SimulatedStorage) async throws -> SimulatedLog {
        let log = try await openLog(on: storage, Self.configuration)
        for number in 0..<750 {
            let record = Record(value: [UInt8(number & 255)], timestamp: Int64(number))
            _ = try await log.append([record], acknowledge: .written)
        }
        try await log.roll()
        return log
    }

    private func paths() throws -> [StoragePath] {
        try ["index", "timeindex"].map { try path("log/00000000000000000000.\($0)") }
    }

    /// Missing, empty, cut, zeroed, flipped, longer than it was, of another segment, or endless: made
    /// anew, to the same bytes.
    @Test func isMadeAnewToTheSameBytes() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await log(storage)
        let answer = TimestampedOffset(offset: 700, timestamp: 700)
        try await log.close()
        for path in try paths() {
            let whole = try #require(storage.contents(of: path))
            #expect(whole.count == 3 * IndexPage.byteCount)
            func write(_ bytes: [UInt8], at position: Int = 0, cutting: Bool = true) async throws {
                let file = try await storage.open(path, .openOrCreate)
                if cutting { try await file.truncate(to: 0) }
                try await file.write(
                    [FileWrite(at: position, [MemorySlice(MemoryBlock(copying: bytes))])],
                    thenSync: true)
                await file.close()
            }
            var damages: [(Comment, () async throws -> Void)] = [
                ("missing", { try await storage.remove(path) }),
                ("empty", { try storage.cut(path, to: 0) }),
                ("a page too much", { try await write(whole + whole[..<IndexPage.byteCount]) }),
                ("a byte too much", { try await write(whole + [0]) }),
                ("pages swapped", { try await write(Array(whole[4096..<8192]) + whole[..<4096]) }),
                ("garbage", { try await write([UInt8](repeating: 0xA5, count: 100_000)) }),
                (
                    "a far end",
                    { try await write([1], at: 300 << 20, cutting: false) }
                ),
            ]
            for page in 0..<3 {
                let start = page * IndexPage.byteCount
                damages += [
                    ("page \(page) zeroed", { try storage.zero(path, start..<start + 4096) }),
                    ("cut before page \(page)", { try storage.cut(path, to: start) }),
                    ("cut inside page \(page)", { try storage.cut(path, to: start + 1000) }),
                ]
                for byte in [0, 5, 6, 8, 12, 16, 24, 32, 40, 52, 4095] {
                    damages.append(
                        (
                            "byte \(byte) of page \(page)",
                            { try storage.flip(path, byte: start + byte) }
                        ))
                }
            }
            for (name, damage) in damages {
                try await damage()
                let log = try await openLog(on: storage, Self.configuration)
                #expect(try await log.read(from: 700, maximumBytes: 1)[0].baseOffset == 700, name)
                #expect(try await log.offset(for: .atOrAfter(700)) == answer, name)
                try await log.close()
                #expect(storage.contents(of: path) == whole, name)
            }
        }
    }
}
