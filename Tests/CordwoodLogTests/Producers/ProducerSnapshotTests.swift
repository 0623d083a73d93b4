import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct ProducerSnapshotTests {
    /// A state with producers of all kinds.
    static func sample(seed: UInt64 = 1) -> ProducerSnapshot {
        var random = SplitMix64(seed: seed)
        var snapshot = ProducerSnapshot(at: 0, segmentBase: 0)
        var offset: Int64 = 0
        for _ in 0..<30 {
            let id = Int64(random.below(5)) * 1_000_003
            let known = snapshot.states.producers[id]
            var batch: ProducerBatch
            if random.below(4) == 0 {
                batch = .marker(
                    random.coin() ? .abort : .commit, id, epoch: known?.epoch ?? 0,
                    coordinator: known.map { max(0, $0.coordinatorEpoch) } ?? 3, at: offset)
            } else {
                batch = .records(
                    id, epoch: known?.epoch ?? 0, known?.nextSequence ?? Int32.max - 2,
                    count: 1 + random.below(3),
                    transactional: known?.transactionStart != nil || random.coin(), at: -offset)
            }
            if random.below(10) == 0, let known {
                batch = .marker(.abort, id, epoch: known.epoch + 1, coordinator: 9, at: 1)
            }
            if let completed = snapshot.states.absorb(batch, at: offset),
                completed.marker == .abort
            {
                snapshot.aborted.append(completed.transaction)
            }
            offset += Int64(batch.span)
        }
        snapshot.offset = offset
        return snapshot
    }

    private func decode(
        _ bytes: [UInt8], logID: UInt64 = testLogID, offset: Int64
    ) -> ProducerSnapshot? {
        bytes.withUnsafeBytes { ProducerSnapshot($0, logID: logID, expectedOffset: offset) }
    }

    @Test func decodesWhatWasEncoded() {
        for seed in seeds(50) {
            let snapshot = Self.sample(seed: seed)
            let bytes = snapshot.encode(logID: testLogID).array
            #expect(decode(bytes, offset: snapshot.offset) == snapshot, "seed \(seed)")
            #expect(decode(bytes, logID: 1, offset: snapshot.offset) == nil)
            #expect(decode(bytes, offset: snapshot.offset + 1) == nil)
        }
        let empty = ProducerSnapshot(at: 7, segmentBase: 7)
        #expect(decode(empty.encode(logID: testLogID).array, offset: 7) == empty)
    }

    @Test func everyFlipAndCutIsNoticed() {
        let snapshot = Self.sample()
        let bytes = snapshot.encode(logID: testLogID).array
        for byte in bytes.indices {
            for bit in 0..<8 {
                var bad = bytes
                bad[byte] ^= 1 << bit
                #expect(decode(bad, offset: snapshot.offset) == nil, "byte \(byte)")
            }
        }
        for count in bytes.indices {
            #expect(decode(Array(bytes[..<count]), offset: snapshot.offset) == nil)
            let zeroed = bytes[..<count] + [UInt8](repeating: 0, count: bytes.count - count)
            let isSame = Array(zeroed) == bytes
            #expect((decode(Array(zeroed), offset: snapshot.offset) == nil) != isSame)
        }
        #expect(decode(bytes + [0], offset: snapshot.offset) == nil)
    }

    /// Changes with a checksum that fits: nothing traps, and what is taken holds together.
    @Test func forgedSnapshotsAreRefusedOrConsistent() {
        let snapshot = Self.sample()
        let bytes = snapshot.encode(logID: testLogID).array
        var refused = 0
        for seed in seeds(4000) {
            var random = SplitMix64(seed: seed)
            var bad = bytes
            for _ in 0..<1 + random.below(3) {
                let place = 16 + random.below(bytes.count - 16)
                bad[place] = [0, 0xFF, 0x80, 0x7F, UInt8(random.below(256))][random.below(5)]
            }
            if random.below(4) == 0 { bad.removeLast(random.below(bad.count - 64)) }
            Self.seal(&bad)
            guard let found = decode(bad, offset: snapshot.offset) else {
                refused += 1
                continue
            }
            #expect(found.encode(logID: testLogID).array.count == bad.count, "seed \(seed)")
            for producer in found.states.producers.values {
                #expect(producer.batches.count <= 5 && producer.epoch >= 0)
                #expect((producer.transactionStart ?? 0) < found.offset)
            }
        }
        #expect(refused > 1000)
    }

    /// Writes the checksum anew.
    static func seal(_ bytes: inout [UInt8]) {
        let checksum = bytes.withUnsafeBytes { IndexPage.checksum(of: $0, at: 12) }
        withUnsafeBytes(of: checksum!.littleEndian) { bytes.replaceSubrange(12..<16, with: $0) }
    }
}

@Suite struct TransactionIndexTests {
    let header = SegmentHeader(logID: testLogID, baseOffset: 100)

    private func index(_ count: Int) -> TransactionIndex {
        var index = TransactionIndex(end: 100_000, stableOffset: 99_000)
        for number in 0..<Int64(count) {
            index.entries.append(
                AbortedTransaction(
                    producerID: number % 7, firstOffset: 3 * number, lastOffset: 100 + 3 * number,
                    lastStableOffset: 3 * number + 1))
        }
        return index
    }

    private func bytes(_ index: TransactionIndex) -> [UInt8] {
        index.encode(header).flatMap(\.array)
    }

    private func decode(
        _ bytes: [UInt8], header: SegmentHeader? = nil, end: Int64 = 100_000
    ) -> TransactionIndex? {
        bytes.withUnsafeBytes { TransactionIndex($0, header: header ?? self.header, end: end) }
    }

    @Test(arguments: [
        0, 1, 5, TransactionIndex.capacity, TransactionIndex.capacity + 1,
        3 * TransactionIndex.capacity,
    ])
    func decodesWhatWasEncoded(count: Int) {
        let index = index(count)
        let bytes = bytes(index)
        #expect(bytes.count == max(1, (count + 125) / 126) * 4096)
        #expect(decode(bytes) == index)
    }

    @Test func anotherSegmentOrEndIsRefused() {
        let bytes = bytes(index(200))
        #expect(decode(bytes, header: SegmentHeader(logID: 1, baseOffset: 100)) == nil)
        #expect(decode(bytes, header: SegmentHeader(logID: testLogID, baseOffset: 99)) == nil)
        #expect(decode(bytes, end: 99_999) == nil)
        // Pages lost, doubled or swapped.
        #expect(decode(Array(bytes[..<4096])) == nil)
        #expect(decode(Array(bytes[4096...])) == nil)
        #expect(decode(Array(bytes[4096...] + bytes[..<4096])) == nil)
        #expect(decode(bytes + bytes) == nil)
        #expect(decode([]) == nil)
    }

    @Test func everyFlipAndCutIsNoticed() {
        let bytes = bytes(index(130))
        for byte in bytes.indices {
            var bad = bytes
            bad[byte] ^= UInt8(1 << (byte % 8))
            #expect(decode(bad) == nil, "byte \(byte)")
        }
        for count in stride(from: 0, to: bytes.count, by: 61) {
            #expect(decode(Array(bytes[..<count])) == nil)
        }
        #expect(decode([UInt8](repeating: 0, count: 4096)) == nil)
    }

    @Test func forgedIndexesAreRefusedOrConsistent() {
        let good = bytes(index(20))
        var refused = 0
        for seed in seeds(3000) {
            var random = SplitMix64(seed: seed)
            var bad = good
            for _ in 0..<1 + random.below(3) {
                bad[16 + random.below(700)] =
                    [0, 0xFF, 0x80, UInt8(random.below(256))][
                        random.below(4)]
            }
            ProducerSnapshotTests.seal(&bad)
            guard let found = decode(bad) else {
                refused += 1
                continue
            }
            for entry in found.entries {
                #expect(entry.firstOffset < entry.lastOffset && entry.lastOffset < 100_000)
            }
        }
        #expect(refused > 500)
    }
}
