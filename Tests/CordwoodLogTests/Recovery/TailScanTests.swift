import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

/// The rules by which the end of a segment is found, one after another.
@Suite struct TailScanTests {
    private func scan(
        _ bytes: [UInt8], _ image: SegmentImage, _ watermark: Watermark?,
        index: OffsetIndex? = nil, interval: Int = 64
    ) -> TailScan {
        bytes.withUnsafeBytes {
            TailScan(
                $0, header: image.header, watermark: watermark,
                index: index ?? OffsetIndex(baseOffset: image.header.baseOffset),
                interval: interval)
        }
    }

    private func watermark(
        _ image: SegmentImage, durable: Int, groupEnd: Int, wasSynced: Bool = true
    ) -> Watermark {
        Watermark(
            sequence: 5, durable: image.places[durable],
            groupEnd: image.places[groupEnd].position, groupWasSynced: wasSynced)
    }

    private func flipped(_ image: SegmentImage, _ byte: Int) -> [UInt8] {
        var bytes = image.bytes
        bytes[byte] ^= 0x11
        return bytes
    }

    @Test func aWholeSegmentIsKept() throws {
        let image = try SegmentImage(batches: 8)
        for durable in 0...8 {
            for groupEnd in durable...8 {
                for zeros in [0, 1, 5000] {
                    let scan = scan(
                        image.bytes + [UInt8](repeating: 0, count: zeros), image,
                        watermark(image, durable: durable, groupEnd: groupEnd))
                    #expect(scan.cursor == image.end && scan.gaps.isEmpty && scan.cutBytes == 0)
                    #expect(scan.cutProblem == nil)
                    #expect(scan.index.entries == image.index(interval: 64).entries)
                }
            }
        }
    }

    /// Rule 1: what was durable is never cut. Flips, zeros and a file that is too short.
    @Test func damageBelowTheWatermarkIsQuarantined() throws {
        let image = try SegmentImage(batches: 8)
        let mark = watermark(image, durable: 6, groupEnd: 8)
        for byte in SegmentHeader.byteCount..<image.places[6].position {
            let scan = scan(flipped(image, byte), image, mark)
            let batch = image.batch(at: byte)
            #expect(
                scan.gaps == [
                    Gap(
                        positions: image.places[batch].position..<image.places[batch + 1].position,
                        offsets: image.places[batch].nextOffset..<image.places[batch + 1].nextOffset
                    )
                ], "byte \(byte)")
            #expect(scan.cursor.position == image.end.position, "byte \(byte)")
            #expect(scan.cursor.nextOffset == image.end.nextOffset && scan.cutBytes == 0)
        }
        for size in [0, 100, 4096, 4100, image.places[3].position, image.places[6].position - 1] {
            let scan = scan(Array(image.bytes[..<size]), image, mark)
            #expect(scan.cursor.nextOffset == image.places[6].nextOffset, "cut to \(size)")
            #expect(scan.gaps.last?.offsets.upperBound == image.places[6].nextOffset)
        }
    }

    /// An index entry of an earlier life, or a watermark that lies, at one and the same place: a gap
    /// of no bytes, which no reader would get past, is never made.
    @Test func anEntryAtTheWatermarkThatContradictsIt() throws {
        let image = try SegmentImage(batches: 8)
        let mark = watermark(image, durable: 4, groupEnd: 4)
        var index = image.index(interval: 1)
        index.removeAll(behind: image.places[3].position)
        var place = image.places[4]
        place.chain = BatchChain(value: 7)
        index.append(place)
        // The batches from the start on agree with the watermark.
        let whole = scan(image.bytes, image, mark, index: index)
        #expect(whole.gaps.isEmpty && whole.cursor == image.end)
        #expect(whole.scannedFrom == SegmentHeader.byteCount)
        // The watermark alone lies, and is at the segment's start.
        var lying = watermark(image, durable: 0, groupEnd: 0)
        lying.durable.nextOffset += 5
        for index in [nil, image.index(interval: 1)] {
            let found = scan(image.bytes, image, lying, index: index)
            #expect(found.gaps.allSatisfy { !$0.positions.isEmpty })
            #expect(found.cursor.nextOffset >= image.end.nextOffset)
        }
    }

    /// Rule 2: reserved space is the end, and nothing is reported.
    @Test func zerosAreTheEnd() throws {
        let image = try SegmentImage(batches: 4)
        var bytes = image.bytes
        for byte in image.places[3].position..<bytes.count { bytes[byte] = 0 }
        let scan = scan(bytes, image, watermark(image, durable: 3, groupEnd: 4))
        #expect(scan.cursor == image.places[3] && scan.cutBytes == 0 && scan.cutProblem == nil)
    }

    /// Rule 3: the log writes behind a synced group only when its sync has succeeded.
    @Test func damageInASyncedGroupWithABatchBehindItIsQuarantined() throws {
        let image = try SegmentImage(batches: 8)
        let mark = watermark(image, durable: 3, groupEnd: 6)
        for byte in image.places[3].position..<image.places[6].position {
            let scan = scan(flipped(image, byte), image, mark)
            let batch = image.batch(at: byte)
            #expect(scan.gaps.map(\.offsets.lowerBound) == [image.places[batch].nextOffset])
            #expect(scan.gaps.map(\.offsets.upperBound) == [image.places[batch + 1].nextOffset])
            #expect(scan.cursor.nextOffset == image.end.nextOffset && scan.cutBytes == 0)
        }
    }

    /// Rule 4: a group that nothing proves to have been synced was torn.
    @Test func aTornGroupIsCut() throws {
        let image = try SegmentImage(batches: 8)
        // Nothing behind the group, or a group that was not to be synced.
        for mark in [
            watermark(image, durable: 5, groupEnd: 8),
            watermark(image, durable: 5, groupEnd: 6, wasSynced: false),
        ] {
            for byte in image.places[5].position..<image.places[6].position {
                let scan = scan(flipped(image, byte), image, mark)
                #expect(scan.cursor == image.places[5] && scan.gaps.isEmpty, "byte \(byte)")
                // The last byte of a batch without headers is a zero, which nobody can tell.
                #expect(scan.cutBytes >= image.bytes.count - image.places[5].position - 1)
                #expect(scan.cutProblem != nil)
            }
        }
        // Cut at every byte: exactly the batches that are whole are kept.
        let mark = watermark(image, durable: 5, groupEnd: 8)
        for size in image.places[5].position...image.bytes.count {
            for zeros in [0, 700] {
                let scan = scan(
                    image.bytes[..<size] + [UInt8](repeating: 0, count: zeros), image, mark)
                // The last byte of a batch without headers is a zero.
                let whole = image.places.last { $0.position <= size + min(zeros, 1) }
                #expect(scan.cursor == whole, "cut to \(size)")
                #expect(scan.gaps.isEmpty)
            }
        }
    }

    @Test func withoutAWatermarkWhatIsSoundIsKept() throws {
        let image = try SegmentImage(batches: 6)
        for byte in SegmentHeader.byteCount..<image.bytes.count {
            let scan = scan(flipped(image, byte), image, nil)
            let batch = image.batch(at: byte)
            if batch == 5 {
                #expect(scan.cursor == image.places[5] && scan.gaps.isEmpty, "byte \(byte)")
            } else {
                #expect(scan.gaps.count == 1 && scan.cutBytes == 0, "byte \(byte)")
                #expect(scan.cursor.nextOffset == image.end.nextOffset)
            }
        }
    }

    /// Entries of an earlier life lead into the middle of batches, or carry another chain.
    @Test func anIndexThatLiesIsNotBelieved() throws {
        let image = try SegmentImage(batches: 8)
        let mark = watermark(image, durable: 7, groupEnd: 8)
        let sound = image.index(interval: 64)
        for shift in [1, 17, -9] {
            for liesAboutPosition in [false, true] {
                var stale = OffsetIndex(baseOffset: image.header.baseOffset)
                stale.append(image.places[0])
                var place = image.places[5]
                if liesAboutPosition {
                    place.position += shift
                } else {
                    place.chain = BatchChain(value: place.chain.value &+ UInt32(abs(shift)))
                }
                stale.append(place)
                let scan = scan(image.bytes, image, mark, index: stale)
                #expect(scan.gaps.isEmpty && scan.cursor == image.end)
                #expect(scan.index.entries == sound.entries && scan.keptEntries == 0)
            }
        }
    }

    /// A sound index narrows what a wrong chain puts in doubt.
    @Test func aSoundIndexIsUsed() throws {
        let image = try SegmentImage(batches: 8)
        let mark = watermark(image, durable: 7, groupEnd: 8)
        var index = OffsetIndex(baseOffset: image.header.baseOffset)
        for place in [0, 3, 5] { index.append(image.places[place]) }
        let whole = scan(image.bytes, image, mark, index: index)
        #expect(whole.scannedFrom == image.places[5].position && whole.cursor == image.end)
        let damaged = scan(
            flipped(image, image.places[5].position + 62), image, mark, index: index)
        #expect(damaged.gaps.map(\.offsets.lowerBound) == [image.places[5].nextOffset])
        #expect(damaged.keptEntries == 3)
    }

    /// Batches of an earlier life with right checksums and offsets, below the watermark.
    @Test func theChainNoticesStaleBatches() throws {
        let image = try SegmentImage(batches: 6)
        var stale = SegmentImage()
        for number in 0..<6 {
            try stale.append(
                (0...number % 3).map { _ in
                    Record(
                        key: [UInt8(number)], value: [UInt8](repeating: 9, count: 10), timestamp: 1)
                })
        }
        var bytes = image.bytes
        let range = image.places[2].position..<image.places[3].position
        bytes.replaceSubrange(range, with: stale.bytes[range])
        let scan = scan(bytes, image, watermark(image, durable: 5, groupEnd: 6))
        #expect(scan.gaps.contains { $0.positions.contains(range.lowerBound) })
        #expect(scan.cursor.nextOffset == image.end.nextOffset)
    }

    /// Whatever lies in the file and in a watermark with a right checksum.
    @Test func arbitraryBytesNeverTrap() throws {
        for seed in seeds(400) {
            var random = SplitMix64(seed: seed)
            let image = try SegmentImage(batches: 6)
            var bytes = image.bytes
            for _ in 0..<random.below(12) {
                bytes[4096 + random.below(bytes.count - 4096)] = UInt8(random.below(256))
            }
            // A batch that claims very many offsets, several times over.
            if random.coin() {
                let place = image.places[random.below(6)].position
                withUnsafeBytes(of: Int32.max.bigEndian) {
                    bytes.replaceSubrange(place + 23..<place + 27, with: $0)
                }
                let end = image.places[image.batch(at: place) + 1].position
                let checksum = bytes.withUnsafeBytes {
                    crc32c(UnsafeRawBufferPointer(rebasing: $0[place + 21..<end]))
                }
                withUnsafeBytes(of: checksum.bigEndian) {
                    bytes.replaceSubrange(place + 17..<place + 21, with: $0)
                }
            }
            bytes.removeLast(random.below(bytes.count))
            let position = 4096 + random.below(6000)
            let mark = Watermark(
                sequence: 1,
                durable: SegmentCursor(
                    position: position, nextOffset: 100 + Int64(random.below(1 << 31)),
                    chain: BatchChain(value: 1)), groupEnd: position + random.below(4000),
                groupWasSynced: random.coin())
            let scan = scan(bytes, image, random.below(5) == 0 ? nil : mark)
            #expect(scan.cursor.position >= SegmentHeader.byteCount)
        }
    }
}
