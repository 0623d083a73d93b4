import CordwoodStorage
import Testing

@testable import CordwoodLog

@Suite struct BatchChainTests {
    @Test func beginsUnlikeForEachLogAndSegment() {
        let values = [(1, 0), (2, 0), (1, 1), (2, 1)].map {
            BatchChain(logID: UInt64($0.0), baseOffset: Int64($0.1)).value
        }
        #expect(Set(values).count == 4)
    }

    /// The bytes that Kafka's checksum leaves out, and the checksum itself.
    @Test func coversTheFirstTwentyOneBytesAndOrder() {
        let batch = [UInt8](0..<40)
        func chain(_ batches: [[UInt8]]) -> UInt32 {
            var chain = BatchChain(logID: 1, baseOffset: 0)
            for bytes in batches { bytes.withUnsafeBytes { chain.absorb($0) } }
            return chain.value
        }
        for byte in batch.indices {
            var other = batch
            other[byte] ^= 1
            #expect((chain([batch]) != chain([other])) == (byte < 21), "byte \(byte)")
        }
        let other = [UInt8](1..<41)
        #expect(chain([batch, other]) != chain([other, batch]))
        #expect(chain([batch]) != chain([batch, batch]))
    }
}
