import Testing

@testable import CordwoodStorage

/// What ``ByteWriter`` writes, ``ByteReader`` reads; and what nobody wrote, it refuses.
@Suite struct ByteCodingTests {
    private func bytes(_ value: Int64) -> [UInt8] {
        var writer = ByteWriter(count: ByteWriter.varintCount(value))
        writer.varint(value)
        return writer.finish().array
    }

    private func varint(_ bytes: [UInt8]) -> (value: Int64?, position: Int) {
        bytes.withUnsafeBytes {
            var reader = ByteReader($0)
            return (reader.varint(), reader.position)
        }
    }

    @Test func varintsComeBackFromTheirShortestForm() {
        var values: [Int64] = [0, -1, 1, .max, .min, .max - 1, .min + 1]
        for bit in 0..<63 {
            values += [1 << bit, (1 << bit) - 1, -(1 << bit), -(1 << bit) - 1]
        }
        for value in values {
            let bytes = bytes(value)
            #expect(varint(bytes).value == value && varint(bytes).position == bytes.count)
            for count in bytes.indices {
                let cut = varint(Array(bytes[..<count]))
                #expect(cut.value == nil && cut.position == 0, "\(value) cut to \(count)")
            }
        }
        #expect(bytes(.min).count == 10 && bytes(63).count == 1 && bytes(64).count == 2)
        #expect(bytes(-64) == [0x7F] && bytes(300) == [0xD8, 0x04])
    }

    @Test func varintsOfMoreThan64BitsAreRefused() {
        let full = [UInt8](repeating: 0xFF, count: 9)
        #expect(varint(full + [0x01]).value == .min)
        for last in [0x02, 0x03, 0x7F, 0x80, 0x81, 0xFF] as [UInt8] {
            #expect(varint(full + [last, 0x00]).value == nil, "\(last)")
        }
        #expect(varint([UInt8](repeating: 0x80, count: 11) + [0]).value == nil)
    }

    @Test func numbersOf32BitsAreHeldToThem() {
        for (value, fits) in [
            (Int64(Int32.max), true), (Int64(Int32.min), true), (Int64(Int32.max) + 1, false),
            (Int64(Int32.min) - 1, false), (.max, false),
        ] {
            bytes(value).withUnsafeBytes {
                var reader = ByteReader($0)
                #expect(reader.varint32() == (fits ? Int32(value) : nil))
                #expect(reader.position == (fits ? $0.count : 0))
            }
        }
    }

    @Test func fixedNumbersHaveTheirByteOrder() {
        var writer = ByteWriter(count: 15)
        writer.bigEndian(UInt32(0x0102_0304))
        writer.littleEndian(UInt32(0x0102_0304))
        writer.bigEndian(Int16(-2))
        writer.bytes([9, 8])
        writer.zeros(3)
        let block = writer.finish()
        #expect(block.array == [1, 2, 3, 4, 4, 3, 2, 1, 0xFF, 0xFE, 9, 8, 0, 0, 0])
        block.array.withUnsafeBytes {
            var reader = ByteReader($0)
            #expect(reader.bigEndian(UInt32.self) == 0x0102_0304)
            #expect(reader.littleEndian(UInt32.self) == 0x0102_0304)
            #expect(reader.bigEndian(Int16.self) == -2)
            #expect(reader.bytes(2).map { Array($0) } == [9, 8])
            #expect(reader.remaining == 3)
        }
    }

    @Test func nothingIsReadPastTheEnd() {
        for count in 0..<8 {
            [UInt8](repeating: 1, count: count).withUnsafeBytes {
                var reader = ByteReader($0)
                #expect(reader.bigEndian(Int64.self) == nil)
                #expect(reader.bytes(count + 1) == nil && reader.bytes(-1) == nil)
                #expect(reader.bytes(.max) == nil)
                #expect(reader.skip(count + 1) == nil && reader.skip(-1) == nil)
                #expect(reader.position == 0, "what is refused moves nothing")
                #expect(reader.skip(count) != nil && reader.remaining == 0)
                #expect(reader.varint() == nil && reader.bigEndian(UInt8.self) == nil)
                #expect(reader.bytes(0)?.count == 0)
            }
        }
    }
}
