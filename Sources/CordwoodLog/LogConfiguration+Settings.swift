extension LogConfiguration {
    private static let numbers: [(name: String, path: any WritableKeyPath<Self, Int> & Sendable)] =
        [
            ("segmentBytes", \.segmentBytes),
            ("segmentJitterMilliseconds", \.segmentJitterMilliseconds),
            ("segmentIndexBytes", \.segmentIndexBytes),
            ("indexIntervalBytes", \.indexIntervalBytes),
            ("minCompactionLagMilliseconds", \.minCompactionLagMilliseconds),
            ("deleteRetentionMilliseconds", \.deleteRetentionMilliseconds),
            ("maxMessageBytes", \.maxMessageBytes),
            ("producerIDExpirationMilliseconds", \.producerIDExpirationMilliseconds),
            ("maximumQueuedBytes", \.maximumQueuedBytes),
            ("maximumGroupBytes", \.maximumGroupBytes),
            ("tailBytes", \.tailBytes),
        ]

    private static let limits: [(name: String, path: any WritableKeyPath<Self, Int?> & Sendable)] =
        [
            ("segmentMilliseconds", \.segmentMilliseconds), ("retentionBytes", \.retentionBytes),
            ("retentionMilliseconds", \.retentionMilliseconds),
            ("maxCompactionLagMilliseconds", \.maxCompactionLagMilliseconds),
            ("messageTimestampBeforeMaxMilliseconds", \.messageTimestampBeforeMaxMilliseconds),
            ("messageTimestampAfterMaxMilliseconds", \.messageTimestampAfterMaxMilliseconds),
        ]

    /// The names that ``set(_:to:)`` takes.
    package static var settingNames: [String] {
        numbers.map(\.name) + limits.map(\.name) + [
            "cleanupPolicy", "minCleanableDirtyRatio", "messageTimestampType",
        ]
    }

    /// Sets a property by its name, from text: a number, `unlimited` for a limit, or Kafka's word.
    /// Throws ``LogError/Code/invalidConfiguration`` saying what was expected.
    package mutating func set(_ name: String, to text: String) throws(LogError) {
        if let path = Self.numbers.first(where: { $0.name == name })?.path {
            guard let value = Int(text) else { throw Self.refused(name, "a number", text) }
            self[keyPath: path] = value
        } else if let path = Self.limits.first(where: { $0.name == name })?.path {
            guard text == "unlimited" || Int(text) != nil else {
                throw Self.refused(name, "a number or unlimited", text)
            }
            self[keyPath: path] = Int(text)
        } else if name == "cleanupPolicy" {
            cleanupPolicy = []
            for word in text.split(separator: ",", omittingEmptySubsequences: false) {
                switch word {
                case "delete": cleanupPolicy.insert(.delete)
                case "compact": cleanupPolicy.insert(.compact)
                default: throw Self.refused(name, "delete, compact or compact,delete", text)
                }
            }
        } else if name == "minCleanableDirtyRatio" {
            guard let value = Double(text) else { throw Self.refused(name, "0 to 1", text) }
            minCleanableDirtyRatio = value
        } else if name == "messageTimestampType" {
            switch text {
            case "createTime": messageTimestampType = .createTime
            case "logAppendTime": messageTimestampType = .logAppendTime
            default: throw Self.refused(name, "createTime or logAppendTime", text)
            }
        } else {
            throw LogError(
                .invalidConfiguration,
                "expected one of \(Self.settingNames.sorted().joined(separator: ", ")), "
                    + "found \(String(reflecting: name))")
        }
    }

    private static func refused(_ name: String, _ expected: String, _ found: String) -> LogError {
        LogError(
            .invalidConfiguration,
            "\(name): expected \(expected), found \(String(reflecting: found))"
        )
    }
}
