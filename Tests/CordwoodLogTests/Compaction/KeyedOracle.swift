import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// What a compacted log was told: any of it may be gone for which there is something later.
struct KeyedOracle {
    private(set) var sent: [Record] = []
    /// Everything before this offset was acknowledged as durable.
    private(set) var durableEnd = 0
    private var nextNumber = 0

    /// Records of few keys, some without a value, some with headers.
    mutating func newRecords(_ count: Int, keys: Int, _ random: inout SplitMix64) -> [Record] {
        (0..<count).map { _ in
            nextNumber += 1
            let padding = String(repeating: "p", count: random.below(random.coin() ? 20 : 200))
            return Record(
                key: Array("key \(random.below(keys))".utf8),
                value: random.below(5) == 0 ? nil : Array("\(nextNumber) \(padding)".utf8),
                headers: random.below(5) == 0 ? [RecordHeader(key: "h", value: [1])] : [],
                timestamp: SimulatedClock.defaultMilliseconds + Int64(nextNumber))
        }
    }

    /// Appends until something fails or `appends` are done; whether all went well.
    mutating func append(
        to log: SimulatedLog, appends: Int, keys: Int, _ random: inout SplitMix64,
        acknowledge: Acknowledgement = .durable
    ) async -> Bool {
        for _ in 0..<appends {
            let records = newRecords(1 + random.below(4), keys: keys, &random)
            sent += records
            do { _ = try await log.append(records, acknowledge: acknowledge) } catch {
                return false
            }
            if acknowledge == .durable { durableEnd = sent.count }
        }
        return true
    }

    /// Holds what the log has against what it was told. `reopened`: it may have lost what was not
    /// durable, and then it never was.
    mutating func check(
        _ log: SimulatedLog, _ context: Comment, reopened: Bool = false,
        report: CompactionReport? = nil
    ) async throws {
        if reopened {
            #expect(log.recovery.quarantined.isEmpty, context)
            #expect(log.endOffset >= Int64(durableEnd), context)
            sent = Array(sent.prefix(Int(log.endOffset)))
            durableEnd = sent.count
        }
        #expect(log.endOffset == Int64(sent.count), context)
        let found = try await log.all()
        for (record, next) in zip(found, found.dropFirst()) {
            #expect(record.offset < next.offset, context)
        }
        for record in found {
            #expect(sent[Int(record.offset)] == record.record, context)
        }
        let offsets = Set(found.map { Int($0.offset) })
        try checkLatest(offsets, context)
        if let report { checkCompacted(offsets, upTo: Int(report.cleanedUpTo), context) }
        try await checkReading(log, found, context)
        let verification = try await log.verify()
        #expect(verification.isSound, "\(verification.damage); \(context.rawValue)")
    }

    /// The latest value of each key is there; the latest tombstone is, or all that it hides is gone.
    private func checkLatest(_ found: Set<Int>, _ context: Comment) throws {
        for (key, offsets) in Dictionary(grouping: sent.indices, by: { sent[$0].key }) {
            let latest = try #require(offsets.last)
            if sent[latest].value != nil {
                #expect(found.contains(latest), "lost \(key ?? []); \(context.rawValue)")
            } else if !found.contains(latest) {
                #expect(
                    !offsets.contains { found.contains($0) },
                    "a deleted record came back; \(context.rawValue)")
            }
        }
    }

    /// Of what a pass went through, nothing is there twice.
    private func checkCompacted(_ found: Set<Int>, upTo end: Int, _ context: Comment) {
        let past = found.filter { $0 < end }
        let keys = Set(past.map { sent[$0].key })
        #expect(past.count == keys.count, context)
        let rest = Set(end..<sent.count)
        #expect(rest.isSubset(of: found), "taken before its time; \(context.rawValue)")
    }

    /// A read from any offset begins with the next record that is there.
    private func checkReading(
        _ log: SimulatedLog, _ found: [StoredRecord], _ context: Comment
    ) async throws {
        var next = found.count
        for offset in stride(from: sent.count - 1, through: 0, by: -1) {
            while next > 0, found[next - 1].offset >= Int64(offset) { next -= 1 }
            guard offset % 5 == 0 else { continue }
            var records = RecordSequence(log, from: Int64(offset), following: false)
                .makeAsyncIterator()
            let first = try await records.next()
            #expect(first == (next < found.count ? found[next] : nil), context)
        }
    }
}

extension LogConfiguration {
    /// Segments of a few batches that are compacted as soon as they are sealed.
    static var smallCompacted: LogConfiguration {
        var configuration = LogConfiguration.smallWithoutTail
        configuration.cleanupPolicy = .compact
        configuration.minCleanableDirtyRatio = 0
        configuration.messageTimestampAfterMaxMilliseconds = nil
        return configuration
    }
}

extension CompactionOptions {
    static func small(mapBytes: Int = 1 << 16, stepBytes: Int = 700) -> CompactionOptions {
        var options = CompactionOptions()
        options.mapBytes = mapBytes
        options.stepBytes = stepBytes
        return options
    }
}

extension PartitionLog {
    var currentManifest: Manifest { manifest.manifest }
    var isCompacting: Bool { compaction.isRunning }
}
