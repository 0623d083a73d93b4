import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodLog

@Suite struct GroupCommitTests {
    private func batch(_ records: Int, _ bytes: Int) -> EncodedBatch {
        EncodedBatch(block: MemoryBlock(count: bytes), recordCount: records)
    }

    /// Offsets bound a group as bytes do: compressed batches hold many records in few bytes.
    @Test func offsetsBoundAGroup() {
        let limits = GroupCommit<Int>.Limits(bytes: 1000, batches: 10)
        var commit = GroupCommit<Int>(nextOffset: 0)
        for records in [5, 4, 3] {
            _ = commit.enqueue([batch(records, 10)], acknowledge: .written, waiter: nil)
        }
        for (offsets, expected) in [(4, 0), (9, 2), (3, 1)] {
            let group = commit.takeGroup(room: 1000, offsets: offsets, limits: limits)
            #expect(group.count == expected)
        }
    }

    /// Against a plain array of what was queued.
    @Test func groupsAreTheLongestRunsThatFit() {
        for seed in seeds(200) {
            var random = SplitMix64(seed: seed)
            var commit = GroupCommit<Int>(nextOffset: 50)
            var model: [(bytes: Int, base: Int64, waiter: Int?)] = []
            var next: Int64 = 50
            var appends = 0
            for _ in 0..<100 {
                if random.coin() {
                    let sizes = (0..<1 + random.below(3)).map { _ in
                        (records: 1 + random.below(5), bytes: 1 + random.below(100))
                    }
                    let waiter = random.coin() ? appends : nil
                    appends += 1
                    let offsets = commit.enqueue(
                        sizes.map { batch($0.records, $0.bytes) }, acknowledge: .durable,
                        waiter: waiter)
                    #expect(offsets.lowerBound == next)
                    for (number, size) in sizes.enumerated() {
                        model.append(
                            (size.bytes, next, number == sizes.count - 1 ? waiter : nil))
                        next += Int64(size.records)
                    }
                    #expect(offsets.upperBound == next && commit.nextOffset == next)
                } else {
                    let room = random.below(400)
                    let limits = GroupCommit<Int>.Limits(
                        bytes: 1 + random.below(200), batches: 1 + random.below(6))
                    let group = commit.takeGroup(room: room, limits: limits)
                    let bytes = group.reduce(0) { $0 + $1.batch.byteCount }
                    #expect(bytes <= room && group.count <= limits.batches, "seed \(seed)")
                    #expect(group.count <= 1 || bytes <= limits.bytes, "seed \(seed)")
                    let taken = model.prefix(group.count)
                    #expect(group.map(\.baseOffset) == taken.map(\.base), "seed \(seed)")
                    #expect(group.map(\.waiter) == taken.map(\.waiter), "seed \(seed)")
                    model.removeFirst(group.count)
                    // Whatever comes next did not fit.
                    if let following = model.first, group.count < limits.batches {
                        let more = bytes + following.bytes
                        #expect(
                            more > room || (!group.isEmpty && more > limits.bytes), "seed \(seed)")
                    }
                }
                #expect(commit.queuedBytes == model.reduce(0) { $0 + $1.bytes }, "seed \(seed)")
                #expect(commit.isEmpty == model.isEmpty)
            }
            #expect(commit.fail() == model.compactMap(\.waiter), "seed \(seed)")
            #expect(commit.isEmpty && commit.queuedBytes == 0)
            #expect(commit.takeGroup(room: 100, limits: .init(bytes: 9, batches: 9)).isEmpty)
        }
    }
}
