import CordwoodSimulation
import CordwoodStorage
import Glibc
import TestSupport
import Testing

@testable import CordwoodLog

/// An independent implementation agrees: batches that kafka-python wrote, and segments for it to
/// read. `make test-kafka` runs both against kafka-python; see `Tests/Scripts/kafka_interop.py`.
@Suite struct KafkaInteropTests {
    // MARK: What kafka-python wrote

    /// The batches that are kept here, and those of the run that the script started.
    @Test(arguments: try batchFiles()) func batchesOfKafkaPythonAreRead(file: String) throws {
        let bytes = try contents(of: file)
        let expected = String(
            decoding: try contents(of: String(file.dropLast(4)) + ".txt"), as: UTF8.self)
        #expect(try text(of: bytes) == expected)
    }

    /// Of every kind one, so that a folder that was not found does not pass.
    @Test func thereIsABatchOfEveryKind() throws {
        var found: Set<Int16> = []
        for file in try Self.batchFiles() {
            let bytes = try contents(of: file)
            for batch in try batches(in: bytes) { found.insert(batch.header.attributes) }
        }
        // Codecs; append time; transactional; control and transactional.
        #expect(found.isSuperset(of: [0, 1, 2, 3, 4, 8, 16, 17, 18, 19, 20, 48]))
    }

    private static func batchFiles() throws -> [String] {
        var folders = [
            #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
                + "/Fixtures/kafka"
        ]
        if let folder = getenv("CORDWOOD_KAFKA_BATCHES") { folders.append(String(cString: folder)) }
        return try folders.flatMap { folder in
            let names = try entries(of: folder).filter { $0.hasSuffix(".bin") }
            return try #require(names.isEmpty ? nil : names, "no batches in \(folder)")
                .map { "\(folder)/\($0)" }
        }
    }

    /// Every batch, verified as the log verifies what it reads.
    private func batches(
        in bytes: [UInt8]
    ) throws -> [(header: BatchHeader, batch: RecordBatch)] {
        let block = MemoryBlock(copying: bytes)
        return try withExtendedLifetime(block) {
            var position = 0
            let first = try #require(BatchHeader(block.unsafeBytes))
            var cursor = SegmentCursor(
                position: 0, nextOffset: first.baseOffset, chain: BatchChain(value: 0))
            var batches: [(BatchHeader, RecordBatch)] = []
            while position < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: block.unsafeBytes[position...])
                let header = try cursor.next(in: rest)
                let slice = MemorySlice(block, position..<cursor.position)
                batches.append((header, RecordBatch(verified: header, slice)))
                position = cursor.position
            }
            return batches
        }
    }

    private func text(of bytes: [UInt8]) throws -> String {
        var text = ""
        for (header, batch) in try batches(in: bytes) {
            text += KafkaText.line(header)
            for record in try batch.records() { text += KafkaText.line(record) }
        }
        return text
    }

    // MARK: What kafka-python is to read

    /// Writes one log for each codec into the folder that the script names, and beside it what
    /// the script must find there.
    @Test(.enabled(if: getenv("CORDWOOD_KAFKA_SEGMENTS") != nil))
    func segmentsForKafkaPython() async throws {
        let folder = String(cString: try #require(getenv("CORDWOOD_KAFKA_SEGMENTS")))
        let storage = try await LinuxStorage.open(root: folder, .init())
        for (number, type) in compressionTypes.enumerated() {
            let name = "\(number)-\(type.codec)"
            var configuration = LogConfiguration()
            configuration.segmentBytes = SegmentHeader.byteCount + 16_384
            configuration.maxMessageBytes = 8192
            configuration.compressionType = type
            let log = try await PartitionLog.open(
                path(name), on: storage, configuration: configuration, newLogID: testLogID)
            var expected = ""
            var sequence: Int32 = 0
            var random = SplitMix64(seed: UInt64(number))
            for append in 0..<60 {
                let isTransaction = append % 6 == 5
                let records = (0..<1 + random.below(isTransaction ? 6 : 40)).map { _ in
                    Self.record(&random)
                }
                var producer: ProducerSequence?
                if isTransaction {
                    producer = ProducerSequence(
                        producerID: 4711, epoch: 7, baseSequence: sequence,
                        isTransactional: true)
                    sequence += Int32(records.count)
                }
                let offsets = try await log.append(
                    records, producer: producer, acknowledge: .written)
                if let producer {
                    expected +=
                        "transaction offset=\(offsets.lowerBound)"
                        + " producer=\(producer.producerID)/7/\(producer.baseSequence)\n"
                }
                for (offset, record) in zip(offsets, records) {
                    expected += KafkaText.line(
                        StoredRecord(
                            offset: offset, timestamp: record.timestamp ?? -1, key: record.key,
                            value: record.value, headers: record.headers))
                }
                guard let producer else { continue }
                let marker: TransactionMarker = append % 12 == 5 ? .commit : .abort
                let offset = try await log.appendMarker(
                    marker, producerID: producer.producerID, epoch: 7, coordinatorEpoch: 3,
                    acknowledge: .written)
                expected +=
                    "marker offset=\(offset) \(marker == .commit ? "commit" : "abort")"
                    + " producer=\(producer.producerID)/7/-1 value=000000000003\n"
            }
            #expect(log.segmentCount > 1)
            try await log.close()
            try write(expected, to: "\(folder)/\(name).txt")
        }
    }

    /// A record that compresses, of every shape that Kafka's format has.
    private static func record(_ random: inout SplitMix64) -> Record {
        var record = RecordBatchTests.randomRecord(&random)
        record.timestamp = 1_700_000_000_000 + Int64(random.below(1_000_000))
        if random.below(4) > 0 { record.value = [UInt8](repeating: 65, count: random.below(300)) }
        return record
    }

    // MARK: Files

    private static func entries(of folder: String) throws -> [String] {
        let stream = try #require(opendir(folder), "no folder \(folder)")
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        return names.sorted()
    }

    private func contents(of path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"), "no file \(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            bytes += chunk[..<count]
        }
        return bytes
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"), "cannot write \(path)")
        fwrite(text, 1, text.utf8.count, file)
        fclose(file)
    }
}
