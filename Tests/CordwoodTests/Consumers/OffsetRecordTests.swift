import TestSupport
import Testing

@testable import Cordwood

@Suite struct OffsetRecordTests {
    private let record = OffsetRecord(
        group: "billing", place: TopicPartition("orders", 3),
        committed: CommittedOffset(42, leaderEpoch: 5, metadata: "né", timestamp: 1_700_000_000_000)
    )

    private func stored(_ record: Record) -> StoredRecord {
        StoredRecord(
            offset: 9, timestamp: 0, key: record.key, value: record.value, headers: [])
    }

    @Test func theBytesAreKafkas() throws {
        let encoded = record.encode()
        #expect(
            encoded.key == [0, 1, 0, 7] + Array("billing".utf8) + [0, 6] + Array("orders".utf8)
                + [0, 0, 0, 3])
        #expect(
            encoded.value == [0, 3] + [0, 0, 0, 0, 0, 0, 0, 42] + [0, 0, 0, 5] + [0, 3]
                + Array("né".utf8) + [0, 0, 0x01, 0x8B, 0xCF, 0xE5, 0x68, 0x00])
        #expect(try OffsetRecord(stored(encoded)) == record)
        var deletion = record
        deletion.committed = nil
        #expect(deletion.encode().value == nil)
        #expect(try OffsetRecord(stored(deletion.encode())) == deletion)
    }

    @Test func whatIsCutOrLongerIsRefused() async throws {
        let (key, value) = (record.encode().key!, record.encode().value!)
        for count in 0..<key.count {
            await expectDatabaseError(.malformedState, "offset 9", "\(count) bytes of key") {
                _ = try OffsetRecord(stored(Record(key: Array(key[..<count]), value: value)))
            }
        }
        for count in 0..<value.count {
            await expectDatabaseError(.malformedState, "offset 9", "\(count) bytes of value") {
                _ = try OffsetRecord(stored(Record(key: key, value: Array(value[..<count]))))
            }
        }
        await expectDatabaseError(.malformedState) {
            _ = try OffsetRecord(stored(Record(key: key + [0], value: value)))
        }
        await expectDatabaseError(.malformedState) {
            _ = try OffsetRecord(stored(Record(key: key, value: value + [0])))
        }
        await expectDatabaseError(.malformedState, "a key") {
            _ = try OffsetRecord(stored(Record(key: nil, value: value)))
        }
    }

    @Test func anUnknownVersionIsNamed() async {
        var encoded = record.encode()
        encoded.key![1] = 2
        await expectDatabaseError(.newerFormat, "a key of version 1, found 2") {
            _ = try OffsetRecord(stored(encoded))
        }
        encoded = record.encode()
        encoded.value![1] = 9
        await expectDatabaseError(.newerFormat, "a value of version 3, found 9") {
            _ = try OffsetRecord(stored(encoded))
        }
    }

    /// Whatever the bytes are: a record that encodes to them again, or an error.
    @Test func randomBytesAreReadOrRefused() {
        for seed in UInt64(0)..<2000 {
            var random = SeededGenerator(seed: seed)
            var encoded = record.encode()
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let byte = UInt8.random(in: 0...255, using: &random)
                if Bool.random(using: &random) {
                    encoded.key![Int.random(in: 0..<encoded.key!.count, using: &random)] = byte
                } else {
                    encoded.value![Int.random(in: 0..<encoded.value!.count, using: &random)] = byte
                }
            }
            guard let parsed = try? OffsetRecord(stored(encoded)) else { continue }
            #expect(parsed.encode() == encoded, "seed \(seed)")
        }
    }
}
