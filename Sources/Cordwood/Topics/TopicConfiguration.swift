public import CordwoodLog

/// How a topic is laid out; fixed when it is created.
public struct TopicConfiguration: Sendable, Hashable {
    public static let maximumPartitions = 4096

    /// How many logs the topic's records are spread over, by key.
    public var partitions: Int
    /// How each of them is laid out.
    public var log: LogConfiguration

    public init(partitions: Int = 1, log: LogConfiguration = .init()) {
        self.partitions = partitions
        self.log = log
    }

    func validate() throws(DatabaseError) {
        guard (1...Self.maximumPartitions).contains(partitions) else {
            throw DatabaseError(
                .invalidConfiguration,
                "partitions: expected 1 to \(Self.maximumPartitions), found \(partitions)")
        }
        do { try log.validate() } catch { throw DatabaseError(error, "the topic's log") }
    }
}
