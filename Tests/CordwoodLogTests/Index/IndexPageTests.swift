import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct IndexPageTests {
    let header = SegmentHeader(logID: testLogID, baseOffset: 7)

    private func entries(_ count: Int) -> [OffsetIndex.Entry] {
        (0..<count).map { number in
            let number = UInt32(number)
            return OffsetIndex.Entry(
                relativeOffset: number * 3, position: 4096 + number * 100,
                chain: number &* 0x9E37_79B9)
        }
    }

    private func decode(
        _ bytes: [UInt8], number: Int = 2, header: SegmentHeader? = nil
    ) -> [OffsetIndex.Entry]? {
        bytes.withUnsafeBytes {
            IndexPage.decode($0, number: number, header: header ?? self.header)
        }
    }

    @Test(arguments: [0, 1, 5, OffsetIndex.Entry.pageCapacity]) func decodesWhatWasEncoded(
        count: Int
    ) {
        let page = IndexPage.encode(entries(count)[...], number: 2, header: header).array
        #expect(page.count == IndexPage.byteCount)
        #expect(decode(page) == entries(count))
    }

    @Test func anotherPlaceOrOwnerIsRefused() {
        let page = IndexPage.encode(entries(9)[...], number: 2, header: header).array
        #expect(decode(page, number: 1) == nil)
        #expect(decode(page, header: SegmentHeader(logID: 1, baseOffset: 7)) == nil)
        #expect(decode(page, header: SegmentHeader(logID: testLogID, baseOffset: 8)) == nil)
    }

    @Test func everyFlipAndCutIsNoticed() {
        let page = IndexPage.encode(entries(9)[...], number: 2, header: header).array
        for byte in page.indices {
            var bad = page
            bad[byte] ^= 4
            #expect(decode(bad) == nil, "byte \(byte)")
        }
        for count in stride(from: 0, to: page.count, by: 7) {
            #expect(decode(Array(page[..<count])) == nil)
        }
        #expect(decode([UInt8](repeating: 0, count: IndexPage.byteCount)) == nil)
    }
}
