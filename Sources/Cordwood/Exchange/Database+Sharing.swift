extension Database {
    /// The names of the topics that are shared with other databases, sorted.
    public var sharedTopicNames: [String] {
        registry.topicNames.compactMap(InternalTopic.sharedName)
    }

    /// Opens the shared topic of that name, created where there is none: a table that other databases
    /// write as well, each its own copy. Opening folds its log: O(bytes).
    ///
    /// The topic is opened once, and keeps the configuration that it was opened with. Throws
    /// ``DatabaseError/Code/configurationMismatch`` when it is open with another resolution,
    /// ``DatabaseError/Code/invalidName``, and ``DatabaseError/Code/malformedState`` for a record
    /// that is none of a shared topic's.
    public func sharedTopic(
        _ name: String, _ configuration: SharedTopicConfiguration = .init()
    ) async throws(DatabaseError) -> SharedTopic {
        try checkOpen()
        guard !name.isEmpty else {
            throw DatabaseError(.invalidName, "shared topic: expected a name, found none")
        }
        let topic = try await services.sharedTopic(name, configuration)
        let (open, asked) = (topic.configuration.resolution.name, configuration.resolution.name)
        guard open == asked else {
            throw DatabaseError(
                .configurationMismatch,
                "shared topic \(name) is open with resolution \(open); asked for \(asked)")
        }
        return topic
    }

    /// Exchanges what two databases have, both ways, in every shared topic that both have open. See
    /// ``SharedTopic/exchange(with:batchBytes:)``.
    @discardableResult
    public func exchange(
        with peer: Database
    ) async throws(DatabaseError) -> SharedTopic.ExchangeReport {
        try checkOpen()
        try peer.checkOpen()
        let theirs = await peer.services.openSharedTopics()
        var report = SharedTopic.ExchangeReport()
        for topic in await services.openSharedTopics() {
            guard let other = theirs.first(where: { $0.name == topic.name }) else { continue }
            report = try await report + topic.exchange(with: other)
        }
        return report
    }
}
