import CCordwoodChecksum
import CCordwoodKernels
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

/// Scans that stop early, and the bytes of codes.
@Suite struct RaBitQSearchTests {
    @Test(arguments: [1, 2, 4, 7, 8], Metric.allCases)
    func scansFindWhatIsNearest(bits: Int, metric: Metric) throws {
        for seed in seeds(2) {
            let data = RaBitQData(
                rows: 500, queries: 6, dimensions: 48, centers: 5, seed: seed, spread: 0.4)
            let fixture = try RaBitQFixture(
                .init(bits: bits, epsilon: 4.5, seed: seed), metric, data.rows,
                centroids: data.centers)
            for query in data.queries {
                let found = fixture.search(query, limit: 7)
                #expect(
                    found.neighbors.map(\.id) == fixture.nearest(query, limit: 7), "seed \(seed)")
                #expect(found.exactCount < fixture.rows.count, "nothing was left out")
            }
        }
    }

    /// Bounds that hold 97 times in 100 find nearly all, and with each bit fewer rows are compared again.
    @Test func aSearchStopsEarly() throws {
        let data = RaBitQData(
            rows: 2000, queries: 20, dimensions: 64, centers: 4, seed: 3, spread: 0.5)
        var exactCounts: [Int] = []
        for bits in [1, 2, 4, 8] {
            let fixture = try RaBitQFixture(
                .init(bits: bits), .l2, data.rows, centroids: data.centers)
            var (hits, exactCount) = (0, 0)
            for query in data.queries {
                let found = fixture.search(query, limit: 10)
                hits +=
                    Set(found.neighbors.map(\.id))
                    .intersection(fixture.nearest(query, limit: 10)).count
                exactCount += found.exactCount
                #expect(found.refinedCount == 0 || bits > 1)
            }
            #expect(hits >= 190, "\(bits) bits: \(hits) of 200")
            exactCounts.append(exactCount)
        }
        #expect(exactCounts == exactCounts.sorted(by: >), "\(exactCounts)")
        #expect(exactCounts[0] < data.queries.count * data.rows.count / 3, "\(exactCounts)")
        #expect(exactCounts[3] < data.queries.count * data.rows.count / 16, "\(exactCounts)")
    }

    @Test(arguments: [1, 4])
    func filtersAreSound(bits: Int) throws {
        let data = RaBitQData(
            rows: 300, queries: 4, dimensions: 30, centers: 4, seed: 9, spread: 0.4)
        let fixture = try RaBitQFixture(
            .init(bits: bits, epsilon: 4.5), .l2, data.rows, centroids: data.centers)
        var random = SeededGenerator(seed: 2)
        for share in [0.0, 0.02, 0.5, 1] {
            var allowed = VectorBitmap(count: fixture.rows.count)
            for place in fixture.rows.indices {
                allowed[place] = Double.random(in: 0..<1, using: &random) < share
            }
            for query in data.queries {
                let found = fixture.search(query, limit: 10, allowing: allowed).neighbors
                #expect(found.map(\.id) == fixture.nearest(query, limit: 10) { allowed[$0] })
            }
        }
    }

    /// Without exact rows the estimates are the result: more bits find more.
    @Test func estimatesAlone() throws {
        let data = RaBitQData(
            rows: 800, queries: 12, dimensions: 64, centers: 4, seed: 7, spread: 0.5)
        var last = 0
        for (bits, least) in [(1, 30), (3, 80), (8, 114)] {
            let fixture = try RaBitQFixture(
                .init(bits: bits), .cosine, data.rows, centroids: data.centers)
            var hits = 0
            for query in data.queries {
                let found = fixture.search(query, limit: 10, isExact: false)
                #expect(found.exactCount == 0 && isSorted(found.neighbors))
                hits +=
                    Set(found.neighbors.map(\.id))
                    .intersection(fixture.nearest(query, limit: 10)).count
            }
            #expect(hits >= least && hits >= last, "\(bits) bits: \(hits) of 120")
            last = hits
        }
    }

    @Test func emptyAndShortLists() throws {
        let centroids: [[Float]] = [[0, 0, 0], [100, 0, 0], [0, 100, 0]]
        for count in [0, 1, 2] {
            let rows = (0..<count).map { [100, Float($0), 1] }
            let fixture = try RaBitQFixture(.init(bits: 2), .l2, rows, centroids: centroids)
            let found = fixture.search([100, 0, 0], limit: 5).neighbors
            #expect(found.map(\.id) == fixture.nearest([100, 0, 0], limit: 5))
        }
    }

    // MARK: Bytes

    private func bytes(_ slice: MemorySlice) -> [UInt8] { Array(slice.unsafeBytes) }

    private static func checksum(_ bytes: MemorySlice) -> UInt32 {
        let bytes = bytes.unsafeBytes
        return cordwood_crc32c(0, bytes.baseAddress, bytes.count)
    }

    /// On every instruction set, and with any number of threads.
    @Test func theSameRowsGiveTheSameBytes() throws {
        let data = RaBitQData(rows: 90, queries: 0, dimensions: 70, centers: 4, seed: 1)
        var sums: [UInt32] = []
        for bits in [1, 4, 7] {
            for threads in [1, 3] {
                let fixture = try RaBitQFixture(
                    .init(bits: bits, seed: 77), .l2, data.rows, centroids: data.centers,
                    threads: threads)
                sums.append(Self.checksum(fixture.codes.blocks))
                sums.append(Self.checksum(fixture.codes.extra))
            }
        }
        #expect(sums == Self.golden)
    }

    private static let golden: [UInt32] = [
        2_154_692_747, 0, 2_154_692_747, 0, 2_154_692_747, 470_537_765, 2_154_692_747, 470_537_765,
        2_154_692_747,
        1_587_628_383, 2_154_692_747, 1_587_628_383,
    ]

    @Test func theQuantizerIsWhatItsBytesSay() throws {
        let data = RaBitQData(rows: 20, queries: 1, dimensions: 10, seed: 3)
        for metric in Metric.allCases {
            let fixture = try RaBitQFixture(
                .init(bits: 3, epsilon: 2.5, seed: 99), metric, data.rows, centroids: data.centers)
            let quantizer = try RaBitQuantizer(
                metric: metric, dimensions: 10, encoded: fixture.quantizer.encoded)
            #expect(quantizer.configuration == fixture.quantizer.configuration)
            #expect(bytes(quantizer.encoded) == bytes(fixture.quantizer.encoded))
            let codes = try RaBitQCodes(
                quantizer, starts: fixture.codes.starts, checking: fixture.codes.blocks,
                fixture.codes.extra, centroids: fixture.centroids.flatMap { $0 })
            let center = 1
            #expect(
                (0..<64).allSatisfy {
                    codes.center(of: center)[$0] == fixture.codes.center(of: center)[$0]
                })
        }
    }

    @Test func damageIsRefused() throws {
        let data = RaBitQData(rows: 40, queries: 0, dimensions: 10, seed: 3)
        let fixture = try RaBitQFixture(.init(bits: 2), .l2, data.rows, centroids: data.centers)
        let encoded = bytes(fixture.quantizer.encoded)
        func refuses(_ words: String, _ change: (inout [UInt8]) -> Void) {
            var bytes = encoded
            change(&bytes)
            let slice = MemorySlice.copy(of: bytes)
            expectError(.damaged, mentions: words) { () throws(VectorError) in
                _ = try RaBitQuantizer(metric: .l2, dimensions: 10, encoded: slice)
            }
        }
        refuses("expected 56 bytes, found 55") { $0.removeLast() }
        refuses("expected 56 bytes, found 57") { $0.append(0) }
        refuses("bits: expected 1 to 8, found 0") { $0[0] = 0 }
        refuses("bits: expected 1 to 8, found 9") { $0[0] = 9 }
        refuses("found 4294967042") { $0.replaceSubrange(1..<4, with: [255, 255, 255]) }
        refuses("epsilon") { $0[7] = 0xff }
        refuses("epsilon: expected 0.0 to 16.0, found nan") {
            $0.replaceSubrange(4..<8, with: [0, 0, 0xc0, 0x7f])
        }
        refuses("component 9 of the origin is inf") {
            $0.replaceSubrange(52..<56, with: [0, 0, 0x80, 0x7f])
        }

        let blocks = bytes(fixture.codes.blocks)
        let extra = bytes(fixture.codes.extra)
        let centroids = data.centers.flatMap { $0 }
        func refuses(_ words: String, _ blocks: [UInt8], _ extra: [UInt8]) {
            let slices = (MemorySlice.copy(of: blocks), MemorySlice.copy(of: extra))
            expectError(.damaged, mentions: words) { () throws(VectorError) in
                _ = try RaBitQCodes(
                    fixture.quantizer, starts: fixture.codes.starts, checking: slices.0, slices.1,
                    centroids: centroids)
            }
        }
        refuses("of blocks", Array(blocks.dropLast()), extra)
        refuses("of rows", blocks, extra + [0])
        for position in [0, 32 * 4, 95 * 4] {
            var changed = blocks
            changed.replaceSubrange(position..<position + 4, with: [0, 0, 0xc0, 0x7f])
            refuses("list 0", changed, extra)
        }
        for position in [0, 4] {
            var changed = extra
            let last = (fixture.rows.count - 1) * fixture.quantizer.rowBytes + position
            changed.replaceSubrange(last..<last + 4, with: [0, 0, 0x80, 0xff])
            refuses("list 2", blocks, changed)
        }
    }

    @Test func configurationsAreChecked() throws {
        for bits in [0, 9, -1, .max] {
            expectError(.invalidConfiguration, mentions: "found \(bits)") {
                () throws(VectorError) in try RaBitQConfiguration(bits: bits).validate()
            }
        }
        for epsilon in [Float.nan, -1, .infinity, 17] {
            expectError(.invalidConfiguration, mentions: "epsilon") {
                () throws(VectorError) in try RaBitQConfiguration(epsilon: epsilon).validate()
            }
        }
        for bits in 1...8 { try RaBitQConfiguration(bits: bits, epsilon: 0).validate() }
    }
}
