import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// Compressed bytes that someone made to do harm: each is a thrown problem, never a trap, a hang or
/// an allocation beyond the limit.
@Suite struct HostileCompressionTests {
    private let sample = compressibleBytes(3000, seed: 11)

    @Test(arguments: Codec.compressing) func everyTruncationIsNoticed(codec: Codec) throws {
        let good = codec.defaultType.compressed(sample)
        for count in 0..<good.count {
            do throws(CompressionProblem) {
                let found = try codec.inflated(Array(good[..<count]))
                // A snappy stream has no end mark: it may end between two blocks.
                #expect(codec == .snappy && count == 16 && found.isEmpty, "cut to \(count)")
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
    }

    @Test(arguments: Codec.compressing) func flippedBytesNeverTrap(codec: Codec) throws {
        let good = codec.defaultType.compressed(sample)
        for byte in good.indices {
            for mask in [1, 2, 4, 8, 16, 32, 64, 0x80, 0xFF] as [UInt8] {
                var bad = good
                bad[byte] ^= mask
                check(codec, bad)
            }
        }
    }

    @Test(arguments: Codec.compressing) func randomDamageNeverTraps(codec: Codec) throws {
        let good = codec.defaultType.compressed(sample)
        for seed in seeds(2000) {
            var random = SplitMix64(seed: seed)
            var bad = good
            for _ in 0..<1 + random.below(20) {
                let at = random.below(bad.count)
                switch random.below(4) {
                case 0: bad[at] = UInt8(random.below(256))
                case 1: bad.remove(at: at)
                case 2: bad.insert(UInt8(random.below(256)), at: at)
                default: bad.append(contentsOf: good[random.below(good.count)...].prefix(30))
                }
                if bad.isEmpty { bad = [0] }
            }
            check(codec, bad)
        }
        for seed in seeds(500) {
            var random = SplitMix64(seed: seed)
            let start = good[..<min(good.count, random.below(24))]
            check(codec, start + (0..<random.below(200)).map { _ in UInt8(random.below(256)) })
        }
    }

    /// Whatever the bytes say, what comes out stays within the limit.
    private func check(_ codec: Codec, _ bytes: [UInt8], limit: Int = 20_000) {
        do throws(CompressionProblem) {
            #expect(try codec.inflated(bytes, limit: limit).count <= limit)
        } catch {
            #expect(!error.description.isEmpty)
        }
    }

    // MARK: Bombs

    /// 1 GiB of zeros in the fewest bytes that the format takes.
    private func bomb(_ codec: Codec) -> [UInt8] {
        let megabyte = [UInt8](repeating: 0, count: 1 << 20)
        switch codec {
        case .zstd:
            // Magic, no stated size, a window of 128 KiB; then blocks of one byte repeated.
            var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x38]
            for block in 1...8192 {
                let header = UInt32(1 << 17) << 3 | 1 << 1 | (block == 8192 ? 1 : 0)
                frame += (0..<3).map { UInt8(truncatingIfNeeded: header >> (8 * $0)) } + [0]
            }
            return frame
        default:
            let member = codec.defaultType.compressed(megabyte)
            return Array([[UInt8]](repeating: member, count: 1024).joined())
        }
    }

    @Test(arguments: Codec.compressing) func bombsAreRefusedAtTheLimit(codec: Codec) throws {
        let bomb = bomb(codec)
        let limit = Codec.maximumInflatedBytes
        #expect(throws: CompressionProblem.tooLarge(limit: limit)) { try codec.inflated(bomb) }
        // The buffer itself shows how much was allocated.
        var output = GrowingBuffer(limit: (1 << 20) + 1)
        do throws(CompressionProblem) {
            try bomb.span.withUnsafeBytes { (bytes) throws(CompressionProblem) in
                switch codec {
                case .none: break
                case .gzip: try Gzip.inflate(bytes, into: &output)
                case .snappy: try Snappy.inflate(bytes, into: &output)
                case .lz4: try LZ4.inflate(bytes, into: &output)
                case .zstd: try Zstd.inflate(bytes, into: &output)
                }
            }
            Issue.record("the bomb fitted a megabyte")
        } catch {
            #expect(error == .tooLarge(limit: 1 << 20))
        }
        let capacity = output.capacity
        #expect(capacity <= (1 << 20) + 1)
    }

    // MARK: Sizes that lie

    /// The size of the first reservation is what counts: it is made before a byte was inflated.
    @Test func statedSizesThatTheBytesCannotHoldReserveNothing() throws {
        // Snappy: five bytes that claim 4 GiB - 1, as a raw block and in a frame.
        let claim: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]
        expectCorrupt(.snappy, claim, "claims")
        expectCorrupt(.snappy, snappyHeader + [0, 0, 0, 5] + claim, "claims")
        // A literal of one byte that claims 23 times its block's size; 22 is what snappy can do.
        expectCorrupt(.snappy, [69, 0x00, 0x61], "claims")
        // zstd: an 8-byte size field of 2^62, and one of 60 MiB before a single small block.
        let sized: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE0]
        let block: [UInt8] = [0x0B, 0x00, 0x00, 0x61]
        for size in [1 << 62, 60 << 20, UInt64.max - 2] {
            let field = (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
            expectCorrupt(.zstd, sized + field + block, "claims")
        }
    }

    @Test func zstdSizesWithinReasonAreHeldAgainstTheBytes() throws {
        // 70 bytes stated, one byte there.
        let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 70, 0x09, 0x00, 0x00, 0x61]
        expectCorrupt(.zstd, frame, nil)
        var good = frame
        good[5] = 1
        #expect(try Codec.zstd.inflated(good) == [0x61])
    }

    /// A library may read frames of formats before the one that RFC 8878 describes.
    @Test func zstdFramesOfOldFormatsAreRefused() throws {
        let good = CompressionType.zstd().compressed(sample)
        for magic in [0x1E, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x29] as [UInt8] {
            var old = good
            old[0] = magic
            expectCorrupt(.zstd, old, "no zstd frame")
            // Nor behind a sound one.
            expectCorrupt(.zstd, good + old, "at byte \(good.count)")
        }
        let skipped: [UInt8] = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]
        #expect(try Codec.zstd.inflated(skipped + good + skipped) == sample)
        #expect(throws: CompressionProblem.truncated) {
            try Codec.zstd.inflated(good + skipped.dropLast())
        }
    }

    /// The window is no allocation: a frame may ask for 2 GiB and be small.
    @Test func aHugeZstdWindowCostsNothing() throws {
        let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x09, 0x00, 0x00, 0x61]
        #expect(try Codec.zstd.inflated(frame) == [0x61])
    }

    // MARK: Frames

    private var snappyHeader: [UInt8] { Array(CompressionType.snappy.compressed([])) }

    @Test func snappyBlocksOfImpossibleLengths() throws {
        #expect(snappyHeader.count == 16)
        let lengths: [(Int32, CompressionProblem)] = [
            (0, .corrupt("a block of 0 bytes")), (-1, .corrupt("a block of -1 bytes")),
            (.min, .corrupt("a block of -2147483648 bytes")), (.max, .truncated),
            (4, .truncated),
        ]
        for (length, problem) in lengths {
            let field = withUnsafeBytes(of: length.bigEndian) { Array($0) }
            #expect(throws: problem, "length \(length)") {
                try Codec.snappy.inflated(snappyHeader + field + [1, 0, 0x61])
            }
        }
        #expect(try Codec.snappy.inflated(snappyHeader + [0, 0, 0, 3, 1, 0, 0x61]) == [0x61])
        // A block of nothing is one byte, its length.
        #expect(try Codec.snappy.inflated(snappyHeader + [0, 0, 0, 1, 0]) == [])
    }

    @Test func backReferencesBeforeTheStart() throws {
        // Snappy: one literal byte, then a copy from 5 before.
        expectCorrupt(.snappy, [9, 0x00, 0x61, 0x1E, 5, 0], nil)
        // lz4: the same in a frame of its own.
        let block: [UInt8] = [0x10, 0x61, 5, 0, 0x50, 1, 2, 3, 4, 5]
        let frame: [UInt8] =
            [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82, UInt8(block.count), 0, 0, 0] + block
            + [0, 0, 0, 0]
        expectCorrupt(.lz4, frame, nil)
        var sound = frame
        sound[13] = 1
        #expect(try Codec.lz4.inflated(sound) == [0x61, 0x61, 0x61, 0x61, 0x61, 1, 2, 3, 4, 5])
    }

    @Test func bytesBehindTheEndAreRefused() throws {
        for codec in Codec.compressing {
            let good = codec.defaultType.compressed(sample)
            for tail in [[0], [0xFF], Array("behind the end".utf8)] as [[UInt8]] {
                #expect(throws: CompressionProblem.self, "\(codec) and \(tail)") {
                    try codec.inflated(good + tail)
                }
            }
        }
    }

    @Test func anotherCodecsBytesAreRefused() throws {
        for codec in Codec.compressing {
            for other in Codec.compressing where other != codec {
                #expect(throws: CompressionProblem.self, "\(other) read as \(codec)") {
                    try codec.inflated(other.defaultType.compressed(sample))
                }
            }
        }
    }

    private func expectCorrupt(
        _ codec: Codec, _ bytes: [UInt8], _ text: String?,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        do throws(CompressionProblem) {
            let found = try codec.inflated(bytes)
            Issue.record("inflated to \(found.count) bytes", sourceLocation: sourceLocation)
        } catch {
            guard case .corrupt(let what) = error else {
                Issue.record("\(error)", sourceLocation: sourceLocation)
                return
            }
            if let text { #expect(what.contains(text), sourceLocation: sourceLocation) }
        }
    }
}
