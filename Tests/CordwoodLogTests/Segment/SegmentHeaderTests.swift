import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct SegmentHeaderTests {
    let header = SegmentHeader(logID: testLogID, baseOffset: 7)

    private func check(_ bytes: [UInt8], _ expected: SegmentHeader? = nil) throws {
        try bytes.withUnsafeBytes {
            try SegmentHeader.check($0, expected: expected ?? header, path: logPath())
        }
    }

    @Test func itsOwnSegmentPasses() throws {
        let bytes = header.encode().array
        #expect(bytes.count == SegmentHeader.byteCount)
        #expect(Array(bytes[..<8]) == Array("CWSEGMNT".utf8))
        try check(bytes)
    }

    @Test func everyFlippedOrMissingByteIsDamage() async throws {
        let good = header.encode().array
        for byte in 0..<64 {
            var bad = good
            bad[byte] ^= 1
            await expectLogError(.damaged, "byte \(byte)") { try check(bad) }
            await expectLogError(.damaged, "cut to \(byte)") { try check(Array(good[..<byte])) }
        }
    }

    @Test func segmentsOfOthersAreRefused() async throws {
        let bytes = header.encode().array
        await expectLogError(.inconsistent) {
            try check(bytes, SegmentHeader(logID: 1, baseOffset: 7))
        }
        await expectLogError(.inconsistent) {
            try check(bytes, SegmentHeader(logID: testLogID, baseOffset: 8))
        }
    }

    @Test func newerVersionsAreRefusedByNumber() async throws {
        var bytes = header.encode().array
        bytes[8] = 2
        let checksum = bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[..<60])) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(60..<64, with: $0) }
        let error = await expectLogError(.unsupportedFormat) { try check(bytes) }
        #expect(error?.message.contains("found 2") == true)
    }
}
