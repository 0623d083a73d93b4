import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct SegmentEditTests {
    static func id(_ baseOffset: Int64, _ generation: UInt32 = 0) -> SegmentID {
        SegmentID(baseOffset: baseOffset, generation: generation)
    }

    static func info(
        _ id: SegmentID, to nextOffset: Int64, isCompacted: Bool = false
    ) -> SegmentInfo {
        SegmentInfo(
            id: id,
            end: SegmentCursor(
                position: 9000, nextOffset: nextOffset, chain: BatchChain(value: 3)),
            times: SegmentTimes(
                maxTimestamp: 8, maxTimestampOffset: nextOffset - 1, lastAppendTime: 10),
            isCompacted: isCompacted)
    }

    static let gap = Gap(positions: 4096..<5000, offsets: 5..<9)

    static let edits: [SegmentEdit] = [
        .add(id(0), createdAt: 5), .add(id(1 << 40, 7), createdAt: -1), .seal(info(id(5), to: 77)),
        .quarantine(id(5, 1), gap), .startOffset(1 << 50), .stage(id(9, 2)),
        .replace(
            removing: [id(0), id(5)], with: [info(id(0, 1), to: 77, isCompacted: true)],
            cleanedUpTo: 77),
        .remove([]), .remove([id(0), id(9)]), .truncate(to: 6, keeping: nil),
        .truncate(to: 6, keeping: info(id(5), to: 6)), .epoch(4, startOffset: 3),
    ]

    @Test(arguments: edits.indices) func parsesWhatWasEncoded(number: Int) {
        let edit = Self.edits[number]
        let bytes = edit.encode()
        #expect(SegmentEdit(bytes) == edit)
        for count in bytes.indices { #expect(SegmentEdit(Array(bytes[..<count])) == nil) }
        #expect(SegmentEdit(bytes + [0]) == nil)
    }

    /// Edits as versions before this one wrote them.
    @Test func parsesOldEdits() {
        func bytes(_ kind: UInt8, _ numbers: [UInt64], chain: UInt32? = nil) -> [UInt8] {
            var bytes = [kind]
            for number in numbers {
                withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
            }
            if let chain {
                withUnsafeBytes(of: chain.littleEndian) { bytes.append(contentsOf: $0) }
            }
            return bytes
        }
        #expect(SegmentEdit(bytes(1, [42])) == .add(Self.id(42), createdAt: 0))
        var info = Self.info(Self.id(5), to: 77)
        info.times = SegmentTimes()
        #expect(SegmentEdit(bytes(2, [5, 9000, 77], chain: 3)) == .seal(info))
        #expect(
            SegmentEdit(bytes(3, [5, 4096, 5000, 5, 9])) == .quarantine(Self.id(5), Self.gap))
    }

    @Test func unknownKindsAreNotParsed() {
        for kind in [0, 200, 255] as [UInt8] {
            for edit in Self.edits {
                #expect(SegmentEdit([kind] + edit.encode().dropFirst()) == nil)
            }
        }
    }

    /// Every byte at its extremes: refused, or an edit whose numbers hold together.
    @Test func hostileNumbersNeverTrap() {
        for edit in Self.edits {
            for byte in edit.encode().indices {
                for value in [0, 1, 2, 0x7F, 0x80, 0xFF] as [UInt8] {
                    var bytes = edit.encode()
                    bytes[byte] = value
                    guard let parsed = SegmentEdit(bytes), bytes[0] > 3 else { continue }
                    #expect(parsed.encode() == bytes)
                    if case .seal(let info) = parsed {
                        #expect(info.end.position <= Int(Int32.max))
                        #expect(info.end.nextOffset >= info.id.baseOffset)
                    }
                }
            }
        }
    }
}
