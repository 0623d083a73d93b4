import CordwoodLog
import CordwoodSimulation
import Testing

@testable import Cordwood

@Suite struct PointCodecTests {
    private func stored(_ record: Record, offset: Int64 = 3) -> StoredRecord {
        StoredRecord(
            offset: offset, timestamp: 0, key: record.key, value: record.value, headers: [])
    }

    private let point = Point(
        id: 0x0102_0304_0506_0708, vector: [1, -2.5, .leastNonzeroMagnitude],
        payload: ["text": "käse", "n": -7, "x": 0.25, "yes": true, "": ""])

    @Test func roundTrip() throws {
        let record = try PointCodec.upsert(point)
        #expect(record.key == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try PointCodec.point(of: stored(record), dimensions: 3) == point)
        let mutation = try PointCodec.mutation(of: stored(record), dimensions: 3)
        #expect(mutation.id == point.id)
        #expect(mutation.vector == point.vector)
        #expect(mutation.offset == 3)
    }

    @Test func deletionHasNoVector() throws {
        let mutation = try PointCodec.mutation(
            of: stored(PointCodec.deletion(9)), dimensions: 3)
        #expect(mutation.id == 9)
        #expect(mutation.vector == nil)
        #expect(try PointCodec.point(of: stored(PointCodec.deletion(9)), dimensions: 3) == nil)
    }

    @Test func equalPointsAreEqualBytes() throws {
        var reordered = point
        reordered.payload = Dictionary(
            uniqueKeysWithValues: point.payload.map { ($0.key, $0.value) }.reversed())
        #expect(try PointCodec.upsert(reordered) == PointCodec.upsert(point))
    }

    @Test func truncationAtEveryLengthIsAnError() throws {
        let record = try PointCodec.upsert(point)
        for length in 0..<record.value!.count {
            var cut = record
            cut.value = Array(record.value![..<length])
            #expect(throws: DatabaseError.self) {
                try PointCodec.point(of: stored(cut), dimensions: 3)
            }
        }
        var long = record
        long.value!.append(0)
        #expect(throws: DatabaseError.self) {
            try PointCodec.point(of: stored(long), dimensions: 3)
        }
    }

    @Test func anyFlippedBytesNeverTrap() throws {
        let record = try PointCodec.upsert(point)
        var generator = SplitMix64(seed: 1)
        for _ in 0..<5_000 {
            var changed = record
            for _ in 0...generator.below(3) {
                changed.value![generator.below(changed.value!.count)] = UInt8(generator.below(256))
            }
            // Either outcome will do; a trap fails the run.
            _ = try? PointCodec.point(of: stored(changed), dimensions: 3)
        }
    }

    @Test func wrongKeyAndDimensionsAreNamed() throws {
        var record = try PointCodec.upsert(point)
        do {
            _ = try PointCodec.mutation(of: stored(record), dimensions: 4)
            Issue.record("expected an error")
        } catch { #expect("\(error)".contains("vector of 4 components")) }
        record.key = [1]
        do {
            _ = try PointCodec.mutation(of: stored(record), dimensions: 3)
            Issue.record("expected an error")
        } catch { #expect("\(error)".contains("key of 8 bytes, found 1")) }
    }
}
