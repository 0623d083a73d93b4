import CLZ4
import CZstd
import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Every codec, with every level that is worth a test.
let compressionTypes: [CompressionType] = [
    .producer, .uncompressed, .gzip(level: 1), .gzip(level: 6), .gzip(level: 9), .snappy,
    .lz4(level: 1), .lz4(level: 9), .lz4(level: 12), .zstd(level: 1), .zstd(level: 3),
    .zstd(level: 19),
]

extension CompressionType {
    func compressed(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { compress($0) }.array
    }
}

extension Codec {
    func inflated(
        _ bytes: [UInt8], limit: Int = maximumInflatedBytes
    ) throws(CompressionProblem) -> [UInt8] {
        try bytes.span.withUnsafeBytes { (bytes) throws(CompressionProblem) in
            try inflate(bytes, limit: limit)
        }.array
    }

    static let compressing: [Codec] = [.gzip, .snappy, .lz4, .zstd]
}

/// Bytes as records hold them: some that repeat, some that do not.
func compressibleBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    var bytes: [UInt8] = []
    while bytes.count < count {
        let size = 1 + random.below(40)
        if random.coin() {
            bytes += (0..<size).map { _ in UInt8(random.below(256)) }
        } else {
            bytes += [UInt8](repeating: UInt8(random.below(4)), count: 3 * size)
        }
    }
    return Array(bytes[..<count])
}

@Suite struct CodecTests {
    @Test(arguments: compressionTypes) func whatIsCompressedInflatesToItself(
        type: CompressionType
    ) throws {
        let sizes = [0, 1, 31, 4096, 32_767, 32_768, 32_769, 65_536, 200_001, 1 << 20]
        for size in sizes {
            let samples = [
                [UInt8](repeating: 0, count: size), compressibleBytes(size, seed: UInt64(size)),
            ]
            for sample in samples {
                let compressed = type.compressed(sample)
                #expect(try type.codec.inflated(compressed) == sample, "\(size) bytes")
                // The same bytes again: contexts are used again, and leave no trace.
                #expect(type.compressed(sample) == compressed)
                // Exactly the limit is allowed, a byte more is not.
                #expect(try type.codec.inflated(compressed, limit: max(size, 1)).count == size)
                if size > 0 {
                    #expect(throws: CompressionProblem.tooLarge(limit: size - 1)) {
                        try type.codec.inflated(compressed, limit: size - 1)
                    }
                }
            }
        }
    }

    @Test func noneTakesBytesAsTheyAre() throws {
        #expect(try Codec.none.inflated([1, 2, 3]) == [1, 2, 3])
        #expect(throws: CompressionProblem.tooLarge(limit: 2)) {
            try Codec.none.inflated([1, 2, 3], limit: 2)
        }
    }

    @Test func levelsThatACodecDoesNotHaveAreRefused() async throws {
        for type in compressionTypes { #expect(type.isValid) }
        let wrong: [CompressionType] = [
            .gzip(level: 0), .gzip(level: 10), .gzip(level: .min), .lz4(level: 0),
            .lz4(level: 13), .zstd(level: 0), .zstd(level: 20), .zstd(level: .max),
        ]
        for type in wrong {
            var configuration = LogConfiguration()
            configuration.compressionType = type
            let error = await expectLogError(.invalidConfiguration) {
                try configuration.validate()
            }
            #expect(error?.message.contains("compressionType") == true)
        }
    }

    // MARK: Frames that other writers make

    @Test func membersAndFramesMayFollowOneAnother() throws {
        for codec in Codec.compressing {
            let parts = [compressibleBytes(70_000, seed: 1), [], compressibleBytes(9, seed: 2)]
            let stream = parts.flatMap { codec.defaultType.compressed($0) }
            #expect(try codec.inflated(stream) == Array(parts.joined()), "\(codec)")
        }
    }

    @Test func rawSnappyIsReadAsOneBlock() throws {
        // "abc" as a literal, then a copy of 6 bytes from 3 before.
        let raw: [UInt8] = [9, 0x08, 0x61, 0x62, 0x63, 0x09, 3]
        #expect(try Codec.snappy.inflated(raw) == Array("abcabcabc".utf8))
    }

    @Test func snappysHeaderIsKnownByItsMagicAlone() throws {
        var stream = CompressionType.snappy.compressed([1, 2, 3])
        #expect(
            stream[..<16].elementsEqual([
                0x82, 0x53, 0x4E, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1,
            ]))
        // Some writers write the versions in the other byte order.
        stream.replaceSubrange(8..<16, with: [1, 0, 0, 0, 1, 0, 0, 0])
        #expect(try Codec.snappy.inflated(stream) == [1, 2, 3])
    }

    @Test func lz4FramesWithEveryOptionAreRead() throws {
        let sample = compressibleBytes(300_000, seed: 3)
        for blockMode in [LZ4F_blockLinked, LZ4F_blockIndependent] {
            for (checksum, blockSize) in [(0, LZ4F_max64KB), (1, LZ4F_max4MB)] {
                var preferences = LZ4F_preferences_t()
                preferences.frameInfo.blockMode = blockMode
                preferences.frameInfo.blockSizeID = blockSize
                preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksum_t(UInt32(checksum))
                preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksum_t(UInt32(checksum))
                preferences.frameInfo.contentSize = checksum == 0 ? 0 : UInt64(sample.count)
                var frame = [UInt8](repeating: 0, count: 400_000)
                let size = LZ4F_compressFrame(
                    &frame, frame.count, sample, sample.count, &preferences)
                try #require(LZ4F_isError(size) == 0)
                #expect(try Codec.lz4.inflated(Array(frame[..<size])) == sample)
            }
        }
    }

    /// What Kafka's own clients write: frames that do not state their size.
    @Test func zstdFramesWithoutASizeAreRead() throws {
        for (seed, size) in [1, 200, 16_384, 16_385, 140_000, 3_000_000].enumerated() {
            // Highly compressible, so that the room must double a few times.
            var sample = compressibleBytes(min(size, 50_000), seed: UInt64(seed))
            sample += [UInt8](repeating: 9, count: size - sample.count)
            let frame = try streamed(sample)
            #expect(
                ZSTD_getFrameContentSize(frame, frame.count) == cordwood_zstd_size_unknown)
            #expect(try Codec.zstd.inflated(frame) == sample)
            #expect(throws: CompressionProblem.tooLarge(limit: size - 1)) {
                try Codec.zstd.inflated(frame, limit: size - 1)
            }
        }
    }

    /// Compresses in two steps, before the first of which the size is not known.
    private func streamed(_ sample: [UInt8]) throws -> [UInt8] {
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        var frame = [UInt8](repeating: 0, count: ZSTD_compressBound(sample.count) + 64)
        let capacity = frame.count
        var written = 0
        for (part, end) in [
            (sample[..<(sample.count / 2)], ZSTD_e_flush),
            (sample[(sample.count / 2)...], ZSTD_e_end),
        ] {
            let left = part.withUnsafeBytes { source in
                frame.withUnsafeMutableBytes { target in
                    var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
                    var output = ZSTD_outBuffer(
                        dst: target.baseAddress, size: capacity, pos: written)
                    let left = ZSTD_compressStream2(context, &output, &input, end)
                    written = output.pos
                    return left
                }
            }
            try #require(left == 0)
        }
        return Array(frame[..<written])
    }
}

@Suite struct GrowingBufferTests {
    @Test func growsByDoublingUpToItsLimit() {
        var buffer = GrowingBuffer(limit: 100_000)
        // (room asked for, what then is written, whether there is room, the capacity)
        let steps: [(Int, Int, Bool, Int)] = [
            (1, 16_384, true, 16_384), (1, 0, true, 32_768), (70_000, 70_000, true, 86_384),
            (1, 13_616, true, 100_000), (1, 0, false, 100_000), (.max, 0, false, 100_000),
        ]
        for (wanted, written, fits, capacity) in steps {
            let found = buffer.reserve(wanted)
            #expect(found == fits)
            buffer.advance(written)
            let size = buffer.capacity
            #expect(size == capacity)
        }
        let block = buffer.finish()
        #expect(block.count == 100_000)
    }

    @Test func keepsWhatWasWritten() {
        var buffer = GrowingBuffer(limit: 1 << 20)
        var expected: [UInt8] = []
        for step in 0..<200 {
            let bytes = [UInt8](repeating: UInt8(step), count: step * 7)
            bytes.withUnsafeBytes { buffer.append($0) }
            expected += bytes
        }
        let block = buffer.finish()
        #expect(block.array == expected)
        let empty = GrowingBuffer(limit: 1).finish()
        #expect(empty.count == 0)
    }
}
