import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct SegmentEditTests {
    static let edits: [SegmentEdit] = [
        .add(baseOffset: 0), .add(baseOffset: 1 << 40),
        .seal(
            baseOffset: 5,
            end: SegmentCursor(position: 9000, nextOffset: 77, chain: BatchChain(value: 3))),
        .quarantine(baseOffset: 5, Gap(positions: 4096..<5000, offsets: 5..<9)),
    ]

    @Test(arguments: edits.indices) func parsesWhatWasEncoded(number: Int) {
        let edit = Self.edits[number]
        let bytes = edit.encode()
        #expect(SegmentEdit(bytes) == edit)
        for count in bytes.indices { #expect(SegmentEdit(Array(bytes[..<count])) == nil) }
        #expect(SegmentEdit(bytes + [0]) == nil)
    }

    @Test func unknownKindsAreNotParsed() {
        for kind in [0, 4, 255] as [UInt8] {
            #expect(
                SegmentEdit([kind] + SegmentEdit.add(baseOffset: 0).encode().dropFirst()) == nil)
        }
    }

    /// Every byte at its extremes: refused, or an edit whose numbers hold together.
    @Test func hostileNumbersNeverTrap() {
        for edit in Self.edits {
            for byte in edit.encode().indices {
                for value in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
                    var bytes = edit.encode()
                    bytes[byte] = value
                    guard let parsed = SegmentEdit(bytes) else { continue }
                    #expect(parsed.encode() == bytes)
                    if case .seal(let base, let end) = parsed {
                        #expect(end.position <= Int(Int32.max) && end.nextOffset >= base)
                    }
                }
            }
        }
    }

    @Test func theManifestRefusesContradictions() async throws {
        let end = SegmentCursor(position: 9000, nextOffset: 10, chain: BatchChain(value: 3))
        func apply(_ edits: [SegmentEdit]) throws -> Manifest {
            var manifest = Manifest()
            for edit in edits { try manifest.apply(edit) }
            return manifest
        }
        let manifest = try apply([
            .add(baseOffset: 0),
            .quarantine(baseOffset: 0, Gap(positions: 4096..<5000, offsets: 0..<1)),
            .seal(baseOffset: 0, end: end), .add(baseOffset: 10),
        ])
        #expect(manifest.segments.map(\.baseOffset) == [0, 10])
        #expect(manifest.segments[0].end == end && manifest.segments[0].gaps.count == 1)
        #expect(manifest.segments[1].end == nil)
        for wrong in [
            [.add(baseOffset: 1)], [.add(baseOffset: 0), .add(baseOffset: 0)],
            [.seal(baseOffset: 0, end: end)],
            [.add(baseOffset: 0), .seal(baseOffset: 1, end: end)],
            [.add(baseOffset: 0), .seal(baseOffset: 0, end: end), .seal(baseOffset: 0, end: end)],
            [.add(baseOffset: 0), .seal(baseOffset: 0, end: end), .add(baseOffset: 11)],
            [.quarantine(baseOffset: 3, Gap(positions: 4096..<5000, offsets: 3..<4))],
        ] as [[SegmentEdit]] {
            await expectLogError(.inconsistent, "\(wrong)") { _ = try apply(wrong) }
        }
    }
}
