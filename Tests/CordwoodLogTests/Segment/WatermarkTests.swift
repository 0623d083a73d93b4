import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct WatermarkTests {
    let header = SegmentHeader(logID: testLogID, baseOffset: 100)

    private func watermark(_ sequence: UInt64) -> Watermark {
        Watermark(
            sequence: sequence,
            durable: SegmentCursor(
                position: 5000 + Int(sequence), nextOffset: 110 + Int64(sequence),
                chain: BatchChain(value: 0xABCD)), groupEnd: 9000, groupWasSynced: sequence % 2 == 0
        )
    }

    private func page(_ watermarks: [Watermark], sealedFor other: SegmentHeader? = nil) -> [UInt8] {
        var page = header.encode().array
        let identity = other ?? header
        for watermark in watermarks {
            let slot = watermark.encode(identity).array
            page.replaceSubrange(
                watermark.slotPosition..<watermark.slotPosition + slot.count, with: slot)
        }
        return page
    }

    private func newest(_ page: [UInt8]) -> Watermark? {
        page.withUnsafeBytes { Watermark.newest(in: $0, header: header) }
    }

    @Test func theNewerOfTwoSoundSlotsCounts() {
        #expect(newest(page([])) == nil)
        #expect(newest(page([watermark(3)])) == watermark(3))
        #expect(newest(page([watermark(3), watermark(4)])) == watermark(4))
        #expect(newest(page([watermark(5), watermark(4)])) == watermark(5))
    }

    /// The slots share no sector with each other or with the identity.
    @Test func slotsLieInSectorsOfTheirOwn() {
        #expect(watermark(1).slotPosition != watermark(2).slotPosition)
        #expect(Set(Watermark.slotPositions.map { $0 / 512 } + [0]).count == 3)
        #expect(Watermark.slotPositions.allSatisfy { $0 % 512 + Watermark.byteCount <= 512 })
    }

    @Test func everyFlippedByteSpoilsItsSlotOnly() {
        let good = page([watermark(3), watermark(4)])
        for byte in 0..<Watermark.byteCount {
            var bad = good
            bad[watermark(4).slotPosition + byte] ^= 0x10
            #expect(newest(bad) == watermark(3), "byte \(byte)")
        }
        for count in [0, 63, 512, 575, 1023, 1087] {
            _ = newest(Array(good[..<count]))
        }
        #expect(newest(Array(good[..<(512 + 64)])) == watermark(4))
    }

    @Test func aSlotOfAnotherSegmentOrLogIsNotTaken() {
        #expect(
            newest(page([watermark(3)], sealedFor: SegmentHeader(logID: 1, baseOffset: 100))) == nil
        )
        #expect(
            newest(
                page([watermark(3)], sealedFor: SegmentHeader(logID: testLogID, baseOffset: 0)))
                == nil)
    }

    /// A right checksum over numbers that no log writes.
    @Test func impossibleNumbersAreNotTaken() {
        func isTaken(_ change: (inout Watermark) -> Void) -> Bool {
            var changed = watermark(4)
            change(&changed)
            return newest(page([changed])) != nil
        }
        #expect(isTaken { _ in })
        #expect(!isTaken { $0.sequence = 0 })
        #expect(!isTaken { $0.durable.position = 4095 })
        #expect(
            !isTaken {
                $0.durable.position = Int.max
                $0.groupEnd = Int.max
            })
        #expect(!isTaken { $0.groupEnd = 5003 })
        #expect(!isTaken { $0.groupEnd = Int(Int32.max) + 1 })
        #expect(!isTaken { $0.durable.nextOffset = 99 })
        #expect(!isTaken { $0.durable.nextOffset = .max })
    }

    /// However many groups are written and not synced, the last watermark that is durable stays: a power
    /// cut in the middle of any of them leaves it.
    @Test func theDurableWatermarkStays() async throws {
        let storage = SimulatedStorage(seed: 1)
        let log = try await openLog(on: storage)
        let path = try #require(storage.files.first { $0.description.hasSuffix(".log") })
        func slots() -> [[UInt8]] {
            let bytes = storage.contents(of: path) ?? []
            return Watermark.slotPositions.map { Array(bytes[$0..<$0 + Watermark.byteCount]) }
        }
        for durableAppends in 0..<5 {
            let before = slots()
            let durable = storage.durableContents(of: path) ?? []
            let kept = zip(Watermark.slotPositions, before).filter { position, slot in
                Array(durable[position..<position + Watermark.byteCount]) == slot
                    && slot.contains { $0 != 0 }
            }
            #expect(!kept.isEmpty)
            for number in 0..<4 {
                _ = try await log.append([Record("\(number)")], acknowledge: .written)
                let now = slots()
                #expect(before != now)
                #expect(
                    kept.contains { now.contains($0.1) }, "after \(durableAppends) and \(number)")
            }
            _ = try await log.append([Record("durable")])
        }
        storage.crash(.dropUnsynced)
        let again = try await openLog(on: storage)
        #expect(again.endOffset == 25)
    }
}
