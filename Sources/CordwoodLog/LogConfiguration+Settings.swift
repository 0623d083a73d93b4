/// Settings by name and as text: what a command line and its output deal in.
extension LogConfiguration {
    /// A property that can be set from text.
    private struct Setting: Sendable {
        var name: String
        /// What ``set`` takes.
        var expected: String
        var text: @Sendable (LogConfiguration) -> String
        /// False for a text that it cannot take.
        var set: @Sendable (inout LogConfiguration, String) -> Bool
    }

    /// Changes one setting.
    package typealias Change = @Sendable (inout LogConfiguration) -> Void

    /// In the order of `docs/configuration.md`.
    private static let settings: [Setting] = [
        number("segmentBytes", \.segmentBytes),
        limit("segmentMilliseconds", \.segmentMilliseconds),
        number("segmentJitterMilliseconds", \.segmentJitterMilliseconds),
        number("segmentIndexBytes", \.segmentIndexBytes),
        number("indexIntervalBytes", \.indexIntervalBytes),
        limit("retentionBytes", \.retentionBytes),
        limit("retentionMilliseconds", \.retentionMilliseconds),
        word("cleanupPolicy", "delete, compact or compact,delete", \.cleanupPolicy) {
            CleanupPolicy($0)
        },
        word("minCleanableDirtyRatio", "a number from 0 to 1", \.minCleanableDirtyRatio) {
            Double($0)
        },
        number("minCompactionLagMilliseconds", \.minCompactionLagMilliseconds),
        limit("maxCompactionLagMilliseconds", \.maxCompactionLagMilliseconds),
        number("deleteRetentionMilliseconds", \.deleteRetentionMilliseconds),
        number("maxMessageBytes", \.maxMessageBytes),
        word(
            "compressionType",
            "producer, uncompressed, snappy, or gzip, lz4 or zstd, with :LEVEL or without",
            \.compressionType
        ) { CompressionType($0) },
        word("messageTimestampType", "createTime or logAppendTime", \.messageTimestampType) {
            text in TimestampType.allCases.first { "\($0)" == text }
        },
        limit(
            "messageTimestampBeforeMaxMilliseconds", \.messageTimestampBeforeMaxMilliseconds),
        limit("messageTimestampAfterMaxMilliseconds", \.messageTimestampAfterMaxMilliseconds),
        number("producerIDExpirationMilliseconds", \.producerIDExpirationMilliseconds),
        number("maximumQueuedBytes", \.maximumQueuedBytes),
        number("maximumGroupBytes", \.maximumGroupBytes),
        number("tailBytes", \.tailBytes),
    ]

    private static let unlimited = "unlimited"

    private static func word<Value>(
        _ name: String, _ expected: String, _ path: any WritableKeyPath<Self, Value> & Sendable,
        _ parse: @escaping @Sendable (String) -> Value?
    ) -> Setting {
        Setting(
            name: name, expected: expected,
            text: { configuration in String(describing: configuration[keyPath: path]) },
            set: { configuration, text in
                guard let value = parse(text) else { return false }
                configuration[keyPath: path] = value
                return true
            })
    }

    private static func number(
        _ name: String, _ path: any WritableKeyPath<Self, Int> & Sendable
    ) -> Setting {
        word(name, "a number", path) { Int($0) }
    }

    private static func limit(
        _ name: String, _ path: any WritableKeyPath<Self, Int?> & Sendable
    ) -> Setting {
        Setting(
            name: name, expected: "a number or \(unlimited)",
            text: { configuration in configuration[keyPath: path].map(String.init) ?? unlimited },
            set: { configuration, text in
                let value = Int(text)
                guard value != nil || text == unlimited else { return false }
                configuration[keyPath: path] = value
                return true
            })
    }

    private static func setting(_ name: String) throws(LogError) -> Setting {
        if let setting = settings.first(where: { $0.name == name }) { return setting }
        throw LogError(
            .invalidConfiguration,
            "expected one of \(settings.map(\.name).sorted().joined(separator: ", ")), "
                + "found \(String(reflecting: name))")
    }

    /// All settings, each as ``change(_:to:)`` takes it, in the order of `docs/configuration.md`.
    package var settings: [(name: String, value: String)] {
        Self.settings.map { ($0.name, $0.text(self)) }
    }

    /// The change that sets a property by its name, from text: a number, `unlimited` for a limit, or
    /// Kafka's word. Throws ``LogError/Code/invalidConfiguration`` saying what was expected.
    package static func change(_ name: String, to text: String) throws(LogError) -> Change {
        let setting = try setting(name)
        var scratch = LogConfiguration()
        guard setting.set(&scratch, text) else {
            throw LogError(
                .invalidConfiguration,
                "\(name): expected \(setting.expected), found \(String(reflecting: text))")
        }
        return { configuration in _ = setting.set(&configuration, text) }
    }

    /// The change that sets a property back to what it is by default.
    package static func change(toDefault name: String) throws(LogError) -> Change {
        let setting = try setting(name)
        return try change(name, to: setting.text(LogConfiguration()))
    }
}

extension CleanupPolicy {
    /// Reads what ``description`` writes, in any order.
    init?(_ text: String) {
        self = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            switch word {
            case "delete": insert(.delete)
            case "compact": insert(.compact)
            default: return nil
            }
        }
    }
}
