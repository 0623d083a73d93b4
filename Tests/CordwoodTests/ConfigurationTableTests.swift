import Cordwood
import Glibc
import TestSupport
import Testing

/// Holds `docs/configuration.md` against the code and against Kafka's list.
@Suite struct ConfigurationTableTests {
    /// What Apache Kafka 4.1 calls its settings of topics, and those of brokers that concern storage.
    private static let topicSettings = """
        cleanup.policy compression.gzip.level compression.lz4.level compression.type
        compression.zstd.level delete.retention.ms file.delete.delay.ms flush.messages flush.ms
        follower.replication.throttled.replicas index.interval.bytes
        leader.replication.throttled.replicas local.retention.bytes local.retention.ms
        max.compaction.lag.ms max.message.bytes message.timestamp.after.max.ms
        message.timestamp.before.max.ms message.timestamp.type min.cleanable.dirty.ratio
        min.compaction.lag.ms min.insync.replicas preallocate remote.copy.disable
        remote.log.delete.on.disable remote.storage.enable retention.bytes retention.ms
        segment.bytes segment.index.bytes segment.jitter.ms segment.ms
        unclean.leader.election.enable
        """
    private static let brokerSettings = """
        auto.create.topics.enable delete.topic.enable fetch.max.bytes log.cleaner.backoff.ms
        log.cleaner.dedupe.buffer.size log.cleaner.delete.retention.ms log.cleaner.enable
        log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size
        log.cleaner.io.max.bytes.per.second log.cleaner.max.compaction.lag.ms
        log.cleaner.min.cleanable.ratio log.cleaner.min.compaction.lag.ms log.cleaner.threads
        log.cleanup.policy log.dir log.dir.failure.timeout.ms log.dirs
        log.flush.interval.messages log.flush.interval.ms log.flush.offset.checkpoint.interval.ms
        log.flush.scheduler.interval.ms log.flush.start.offset.checkpoint.interval.ms
        log.index.interval.bytes log.index.size.max.bytes log.initial.task.delay.ms
        log.local.retention.bytes log.local.retention.ms log.message.timestamp.after.max.ms
        log.message.timestamp.before.max.ms log.message.timestamp.type log.preallocate
        log.retention.bytes log.retention.check.interval.ms log.retention.hours
        log.retention.minutes log.retention.ms log.roll.hours log.roll.jitter.hours
        log.roll.jitter.ms log.roll.ms log.segment.bytes log.segment.delete.delay.ms
        message.max.bytes metadata.log.dir num.partitions num.recovery.threads.per.data.dir
        offset.metadata.max.bytes offsets.commit.timeout.ms offsets.load.buffer.size
        offsets.retention.check.interval.ms offsets.retention.minutes
        offsets.topic.compression.codec offsets.topic.num.partitions
        offsets.topic.replication.factor offsets.topic.segment.bytes
        producer.id.expiration.check.interval.ms producer.id.expiration.ms
        queued.max.request.bytes remote.log.index.file.cache.total.size.bytes
        remote.log.storage.system.enable replica.fetch.max.bytes
        replica.fetch.response.max.bytes replica.high.watermark.checkpoint.interval.ms
        transaction.abort.timed.out.transaction.cleanup.interval.ms transaction.max.timeout.ms
        transaction.partition.verification.enable
        transaction.remove.expired.transaction.cleanup.interval.ms
        transaction.state.log.load.buffer.size transaction.state.log.min.isr
        transaction.state.log.num.partitions transaction.state.log.replication.factor
        transaction.state.log.segment.bytes transaction.two.phase.commit.enable
        transactional.id.expiration.ms
        """

    /// The cells of each row of each table.
    private func rows() throws -> [[String]] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let bytes = TemporaryDirectory.contents(of: "/\(root)/docs/configuration.md")
        try #require(!bytes.isEmpty)
        return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
            .filter { $0.hasPrefix("| `") }
            .map { line in
                line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
                    .map { String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
            }
    }

    private func names(_ cell: String) -> [String] {
        cell.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    @Test func everySettingOfKafkasIsNamedOnce() throws {
        let named = try rows().filter { $0.count == 4 }.flatMap { names($0[0]) }
        let expected = (Self.topicSettings + "\n" + Self.brokerSettings)
            .split(whereSeparator: { $0 == " " || $0.isNewline }).map(String.init)
        for name in expected {
            #expect(named.count { $0 == name } == 1, "\(name)")
        }
        // Beside them: what Kafka 4 no longer has, and families.
        let others = named.filter { !expected.contains($0) }
        #expect(
            others.allSatisfy { $0.hasSuffix(".*") || $0.hasPrefix("message.") }, "\(others)")
    }

    /// How a table may write a number of that property.
    private func texts(_ value: Int, _ name: String) -> Set<String> {
        var texts: Set<String> = [grouped(value)]
        let units: [(String, Int)] =
            name.hasSuffix("Bytes")
            ? [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
            : [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)]
        for (unit, size) in units where value > 0 && value % size == 0 {
            texts.insert("\(value / size) \(unit)")
        }
        return texts
    }

    private func grouped(_ value: Int) -> String {
        var digits = Array(String(value))
        for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: place) }
        return String(digits)
    }

    private func texts(_ value: Any, _ name: String) -> Set<String> {
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional, mirror.children.isEmpty { return ["unlimited"] }
        return switch value {
        case let number as Int: texts(number, name)
        case let ratio as Double: ["\(ratio)"]
        default: ["`\(value)`"]
        }
    }

    @Test func defaultsAreThoseOfTheCode() throws {
        var defaults: [String: Any] = [:]
        for child in Mirror(reflecting: LogConfiguration()).children {
            defaults[try #require(child.label)] = child.value
        }
        // Not for callers.
        defaults["spaceAhead"] = nil
        #expect(defaults.count > 18)
        for child in Mirror(reflecting: CompactionOptions()).children {
            defaults["CompactionOptions.\(try #require(child.label))"] = child.value
        }
        for child in Mirror(reflecting: DatabaseOptions()).children
        where ["Milliseconds", "Minutes"].contains(where: { child.label?.hasSuffix($0) ?? false }) {
            defaults["DatabaseOptions.\(try #require(child.label))"] = child.value
        }
        defaults["TopicConfiguration.partitions"] = TopicConfiguration().partitions
        defaults["Database.transactionMaxTimeoutMilliseconds"] =
            Database.transactionMaxTimeoutMilliseconds
        defaults["CommittedOffset.maximumMetadataBytes"] = CommittedOffset.maximumMetadataBytes
        let rows = try rows()
        for (name, value) in defaults {
            let found = rows.compactMap { row -> String? in
                if row.count == 3, row[0] == "`\(name)`" { return row[1] }
                if row.count == 4, row[1].hasPrefix("`\(name)`") { return row[2] }
                return nil
            }
            let expected = texts(value, name)
            #expect(!found.isEmpty, "\(name) is not in the tables")
            for text in found {
                #expect(
                    expected.contains { text == $0 || text.hasPrefix("\($0) (") },
                    "\(name): \(text), the code has \(expected)")
            }
        }
        let levels = try #require(rows.first { $0[1] == "the level of `CompressionType`" })
        #expect(levels[2] == "6, 1, 3")
        #expect(
            CompressionType.gzip() == .gzip(level: 6) && CompressionType.lz4() == .lz4(level: 1))
        #expect(CompressionType.zstd() == .zstd(level: 3))
    }
}
