import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct SegmentInspectorTests {
    private struct Walk {
        var positions: [Int] = []
        var damage: [SegmentInspector.Damage] = []
        var torn = 0
        var largestWindow = 0
    }

    /// Walks bytes in windows of at least `window` bytes.
    private func walk(
        _ bytes: [UInt8], _ extent: SegmentInspector.Extent, gaps: [Gap] = [],
        index: OffsetIndex = OffsetIndex(baseOffset: 100), window: Int = 1
    ) throws -> Walk {
        var walk = Walk()
        var inspector = SegmentInspector(
            header: SegmentImage().header, extent: extent, gaps: gaps, index: index,
            fileByteCount: bytes.count)
        var wanted = window
        for _ in 0..<bytes.count + 1000 {
            let start = min(inspector.readPosition, bytes.count)
            let end = min(bytes.count, start + max(wanted, window))
            let before = inspector.readPosition
            let step = Array(bytes[start..<end]).withUnsafeBytes { inspector.next(in: $0) }
            wanted = window
            switch step {
            case .needs(let count):
                #expect(count > end - start, "asked for what it was given")
                #expect(start + count <= bytes.count, "asked for more than there is")
                walk.largestWindow = max(walk.largestWindow, count)
                wanted = count
            case .batch(_, let place):
                #expect(inspector.readPosition > before)
                walk.positions.append(place.position)
            case .damage(let damage): walk.damage.append(damage)
            case .end(let torn):
                walk.torn = torn
                return walk
            }
        }
        Issue.record("the walk does not end")
        return walk
    }

    private func watermark(_ image: SegmentImage, durable: Int, groupEnd: Int) -> Watermark {
        Watermark(
            sequence: 9, durable: image.places[durable],
            groupEnd: image.places[groupEnd].position, groupWasSynced: true)
    }

    @Test(arguments: [1, 100, 1 << 20])
    func findsEveryBatchInWindowsOfAnySize(window: Int) throws {
        let image = try SegmentImage(batches: 30)
        let starts = image.places.dropLast().map(\.position)
        let sealed = try walk(
            image.bytes, .sealed(image.end), index: image.index(interval: 256), window: window)
        #expect(sealed.positions == starts && sealed.damage.isEmpty && sealed.torn == 0)
        let active = try walk(
            image.bytes + [UInt8](repeating: 0, count: 5000),
            .active(watermark(image, durable: 20, groupEnd: 30)), window: window)
        #expect(active.positions == starts && active.damage.isEmpty && active.torn == 0)
    }

    /// Each flipped bit of a sealed segment's batches is told, all other batches are found, and no
    /// more than one interval of the index is in doubt.
    @Test func everyFlippedByteIsTold() throws {
        let image = try SegmentImage(batches: 12)
        let index = image.index(interval: 200)
        for position in SegmentHeader.byteCount..<image.end.position {
            var bytes = image.bytes
            bytes[position] ^= 0x10
            let found = try walk(bytes, .sealed(image.end), index: index)
            try #require(!found.damage.isEmpty, "byte \(position)")
            let batch = image.batch(at: position)
            let offset = image.places[batch].nextOffset
            #expect(
                found.damage.contains { $0.offsets.contains(offset) }, "byte \(position)")
            let others = image.places.dropLast().map(\.position).filter {
                image.batch(at: $0) != batch
            }
            #expect(Set(others).isSubset(of: Set(found.positions)), "byte \(position)")
        }
    }

    @Test func everyLengthIsToldOrTorn() throws {
        let image = try SegmentImage(batches: 6)
        for length in SegmentHeader.byteCount..<image.end.position {
            let bytes = Array(image.bytes[..<length])
            let sealed = try walk(bytes, .sealed(image.end))
            #expect(sealed.damage.last?.offsets.upperBound == image.end.nextOffset, "\(length)")
            // The third batch and those behind were being written.
            let active = try walk(bytes, .active(watermark(image, durable: 3, groupEnd: 6)))
            let isWhole = length >= image.places[3].position
            #expect(active.damage.isEmpty == isWhole, "\(length)")
            let sound = image.places.lastIndex { $0.position <= length }!
            #expect(active.positions.count == sound, "\(length)")
            let rest = bytes[image.places[sound].position...]
            let torn = rest.lastIndex { $0 != 0 }.map { $0 + 1 - rest.startIndex } ?? 0
            if isWhole { #expect(active.torn == torn) }
        }
    }

    @Test func damageInASyncedGroupIsToldAndATornGroupIsNot() throws {
        let image = try SegmentImage(batches: 8)
        var bytes = image.bytes
        bytes[image.places[4].position + 70] ^= 1
        // Batches 3 to 5 were a synced group, and 6 was written behind it.
        let damaged = try walk(bytes, .active(watermark(image, durable: 3, groupEnd: 6)))
        #expect(damaged.damage.map(\.offsets.lowerBound) == [image.places[4].nextOffset])
        #expect(damaged.positions.last == image.places[7].position)
        let torn = try walk(bytes, .active(watermark(image, durable: 3, groupEnd: 8)))
        // The last byte of a record without headers is a zero.
        #expect(torn.damage.isEmpty && torn.torn == bytes.count - 1 - image.places[4].position)
    }

    @Test func knownGapsAreToldOnce() throws {
        let image = try SegmentImage(batches: 9)
        let places = image.places
        let gap = Gap(
            positions: places[3].position..<places[5].position,
            offsets: places[3].nextOffset..<places[5].nextOffset)
        var bytes = image.bytes
        for position in gap.positions { bytes[position] = 0xEE }
        // Behind a gap the chain begins anew, and the seal has that chain.
        var end = SegmentCursor.after(gap, header: image.header)
        while end.position < image.end.position {
            _ = try bytes[end.position...].withUnsafeBytes { try end.next(in: $0) }
        }
        let found = try walk(bytes, .sealed(end), gaps: [gap])
        #expect(found.damage.map(\.offsets) == [gap.offsets])
        #expect(found.damage.allSatisfy { $0.isQuarantined })
        #expect(found.positions.count == 7)
    }

    @Test func anIndexThatLiesIsTold() throws {
        let image = try SegmentImage(batches: 20)
        var index = OffsetIndex(baseOffset: 100)
        index.append(image.places[0])
        var lie = image.places[10]
        lie.chain = BatchChain(value: lie.chain.value ^ 1)
        index.append(lie)
        let found = try walk(image.bytes, .sealed(image.end), index: index)
        #expect(!found.damage.isEmpty)
        #expect(found.positions.count == 20)
    }

    /// Whatever the bytes, the walk ends, asks for no more than there is, and does not trap.
    @Test func randomBytesEndTheWalk() throws {
        for seed in seeds(300) {
            var random = SeededGenerator(seed: seed)
            let image = try SegmentImage(batches: 1 + Int(random.next() % 12))
            var bytes = image.bytes
            for _ in 0..<(1 + random.next() % 20) {
                let position = Int.random(in: 4096..<bytes.count, using: &random)
                switch random.next() % 3 {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1:
                    for place in position..<min(position + 40, bytes.count) {
                        bytes[place] = UInt8.random(in: 0...255, using: &random)
                    }
                default: bytes.removeSubrange(max(position, 4097)...)
                }
                if bytes.count < 4100 { break }
            }
            let cut = Int.random(in: 0..<image.places.count, using: &random)
            let group = Int.random(in: cut..<image.places.count, using: &random)
            let index = image.index(interval: 128)
            _ = try walk(bytes, .sealed(image.end), index: index, window: 64)
            _ = try walk(bytes, .active(watermark(image, durable: cut, groupEnd: group)))
            _ = try walk(bytes, .active(nil))
        }
    }
}
