/// What compaction may take of the machine. Kafka's names where it has them, without
/// `log.cleaner`.
public struct CompactionOptions: Sendable, Hashable {
    /// Memory for the map from keys to offsets (`dedupe.buffer.size`): 24 bytes a key at a load of
    /// 0.9. A pass that meets more keys ends early, and the next goes on from there.
    public var mapBytes = 128 << 20
    /// How many bytes a second are read and written together; nil is no limit
    /// (`io.max.bytes.per.second`).
    public var maximumBytesPerSecond: Int?
    /// How many bytes are read, filtered and written at a time: between two steps others get the
    /// disk and the threads, and a cancelled task ends (`io.buffer.size`).
    public var stepBytes = 512 << 10

    /// As fast as the machine allows.
    public init() {}

    /// What goes on beside appends that somebody waits for: 128 MiB a second, at which the 99th
    /// percentile of durable appends stays within twice of what it is without compaction.
    public static var background: CompactionOptions {
        var options = CompactionOptions()
        options.maximumBytesPerSecond = 128 << 20
        return options
    }
}
