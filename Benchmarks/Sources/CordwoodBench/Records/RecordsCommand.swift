import ArgumentParser
@_spi(Benchmarks) import CordwoodLog
import CordwoodStorage

/// `cordwood-bench records`: how fast records become batches and batches records, on one core,
/// without a log or a disk.
struct RecordsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "records", abstract: "Measure encoding, verifying and decoding of records.")

    @Option(help: "Bytes of a record's value.")
    var recordBytes = 100

    @Option(help: "Records in a batch.")
    var batchRecords = 1000

    @Option(help: "Batches that are encoded and decoded in a round.")
    var batches = 200

    @Option(help: "Measured rounds, after one to warm up.")
    var rounds = 7

    func validate() throws {
        for (name, value, most) in [
            ("--record-bytes", recordBytes, 1 << 20), ("--batch-records", batchRecords, 1 << 20),
            ("--batches", batches, 1 << 20), ("--rounds", rounds, 1000),
        ] {
            guard (1...most).contains(value) else {
                throw ValidationError("\(name): expected 1 to \(most)")
            }
        }
    }

    func run() throws {
        let types: [(String, CompressionType)] = [
            ("none", .uncompressed), ("gzip", .gzip()), ("snappy", .snappy), ("lz4", .lz4()),
            ("zstd", .zstd()),
        ]
        let records = makeRecords()
        for (name, type) in types { try measure(name, type, records).print() }
    }

    /// Values of words with numbers between them: they compress to about a third.
    private func makeRecords() -> [Record] {
        var generator = SplitMix64(seed: 1)
        let words = ["order", "paid", "shipped", "customer", "amount", "EUR", "DE", "warehouse"]
        return (0..<batchRecords).map { number in
            var value: [UInt8] = []
            while value.count < recordBytes {
                let random = Int(generator.next() >> 32)
                value += Array("\(words[random % words.count])=\(random % 10_000),".utf8)
            }
            return Record(value: Array(value[..<recordBytes]), timestamp: Int64(number))
        }
    }

    private func measure(
        _ name: String, _ type: CompressionType, _ records: [Record]
    ) throws -> JSONLine {
        let count = Double(batches * records.count)
        func encode() throws -> [MemoryBlock] {
            try RecordBatch.encode(records, as: type, maxMessageBytes: 64 << 20)
        }
        let blocks = try (0..<batches).flatMap { _ in try encode() }
        let found = blocks.compactMap { RecordBatch.verified($0) }
        let bytes = found.reduce(0) { $0 + $1.byteCount }
        guard found.count == blocks.count else { throw BenchError("a batch does not verify") }

        let gigabytes = Double(bytes) / 1e9
        let encoding = try rates(of: count) {
            _ = try (0..<batches).map { _ in try encode().count }
        }
        let verifying = rates(of: gigabytes) {
            _ = blocks.count { RecordBatch.verified($0) != nil }
        }
        let decoding = try rates(of: count) { try walk(found, expecting: batches * records.count) }
        let copying = try rates(of: count) { _ = try found.map { try $0.records().count } }
        var target = [UInt8](repeating: 0, count: bytes)
        let memcpy = rates(of: gigabytes) { copy(blocks, into: &target) }
        let plainBytes = try type == .uncompressed ? bytes : plainByteCount(records)
        let perRecord = gigabytes / count

        var line = JSONLine()
        line["codec"] = .string(name)
        line["record_bytes"] = .integer(recordBytes)
        line["batch_records"] = .integer(batchRecords)
        line["compression"] = .number(Double(plainBytes) / Double(bytes))
        line["encode_records_per_s"] = encoding.json
        line["decode_records_per_s"] = decoding.json
        line["decode_copies_per_s"] = copying.json
        line["verify_gb_per_s"] = verifying.json
        line["memcpy_gb_per_s"] = memcpy.json
        line["encode_to_memcpy"] = .number(encoding.median * perRecord / memcpy.median)
        line["decode_to_memcpy"] = .number(decoding.median * perRecord / memcpy.median)
        line["verify_to_memcpy"] = .number(verifying.median / memcpy.median)
        return line
    }

    private func plainByteCount(_ records: [Record]) throws -> Int {
        let blocks = try RecordBatch.encode(
            records, as: .uncompressed, maxMessageBytes: 64 << 20)
        return batches * blocks.reduce(0) { $0 + $1.count }
    }

    /// Touches what a consumer touches: offset, time, and the value's first and last byte.
    private func walk(_ found: [RecordBatch], expecting count: Int) throws {
        var seen = 0
        var sum: Int64 = 0
        for batch in found {
            try batch.forEachRecord { (record) throws(LogError) in
                sum &+= record.offset &+ record.timestamp
                record.withValue { value in
                    guard let value, value.byteCount > 0 else { return }
                    sum &+= Int64(value.unsafeLoad(as: UInt8.self))
                    sum &+= Int64(
                        value.unsafeLoad(fromByteOffset: value.byteCount - 1, as: UInt8.self))
                }
                seen += 1
            }
        }
        guard seen == count, sum != 0 else { throw BenchError("\(seen) of \(count) records") }
    }

    private func copy(_ blocks: [MemoryBlock], into target: inout [UInt8]) {
        target.withUnsafeMutableBytes { target in
            var position = 0
            for block in blocks {
                block.withBytes { bytes in
                    bytes.withUnsafeBytes {
                        UnsafeMutableRawBufferPointer(rebasing: target[position...])
                            .copyMemory(from: $0)
                    }
                }
                position += block.count
            }
        }
    }

    /// How much of `amount`, which one run of `body` does, is done in a second.
    private func rates<Failure: Error>(
        of amount: Double, _ body: () throws(Failure) -> Void
    ) throws(Failure) -> Samples {
        let clock = ContinuousClock()
        var rates: [Double] = []
        for _ in 0...rounds {
            let start = clock.now
            try body()
            rates.append(amount / ((clock.now - start) / .seconds(1)))
        }
        return Samples(rates.dropFirst())
    }
}
