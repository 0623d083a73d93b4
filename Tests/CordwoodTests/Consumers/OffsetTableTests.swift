import TestSupport
import Testing

@testable import Cordwood

@Suite struct OffsetTableTests {
    /// Whatever the order in which records are applied, the table is that of the log's order.
    @Test func theOrderOfTheLogCounts() {
        for seed in UInt64(0)..<300 {
            var random = SeededGenerator(seed: seed)
            let records = (0..<30).map { number in
                OffsetRecord(
                    group: ["a", "b"].randomElement(using: &random)!,
                    place: TopicPartition("t", Int.random(in: 0..<3, using: &random)),
                    committed: Int.random(in: 0..<4, using: &random) == 0
                        ? nil : CommittedOffset(Int64(number)))
            }
            var expected: [String: [TopicPartition: CommittedOffset]] = [:]
            for record in records {
                expected[record.group, default: [:]][record.place] = record.committed
            }
            var table = OffsetTable(appliedOffset: 0)
            for index in records.indices.shuffled(using: &random) {
                table.apply(records[index], at: Int64(index))
            }
            table.purge()
            for group in ["a", "b"] {
                #expect(table.committed(group) == expected[group] ?? [:], "seed \(seed)")
            }
            #expect(
                table.groupNames == expected.filter { !$0.value.isEmpty }.keys.sorted(),
                "seed \(seed)")
            #expect(table.appliedOffset == 30)
        }
    }
}
