import Testing

@testable import Cordwood

@Suite struct PartitionerTests {
    /// Values that Kafka's own client computes, from its published unit tests.
    @Test(
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ] as [(String, Int32)])
    func hashesAsKafkaDoes(key: String, expected: Int32) {
        #expect(Int32(bitPattern: Partitioner.murmur2(Array(key.utf8))) == expected)
    }

    @Test func keylessAppendsTakeTurns() {
        let partitioner = Partitioner(partitions: 3)
        #expect((0..<6).map { _ in partitioner.nextForKeyless() } == [0, 1, 2, 0, 1, 2])
    }

    @Test func keysStayInRange() {
        let partitioner = Partitioner(partitions: 7)
        for number in 0..<1000 {
            let partition = partitioner.partition(of: Array("key \(number)".utf8))
            #expect((0..<7).contains(partition))
        }
    }
}
