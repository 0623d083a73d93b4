extension Database {
    /// A producer id that nobody in this database has had, for appends that may be sent again:
    /// ``Partition/append(_:producerID:epoch:sequence:acknowledge:)``.
    ///
    /// Ids are taken durably, a thousand at a time, so most calls wait for no disk; those of a block
    /// that were not given out when the database is closed are lost. Kafka's `InitProducerId` without
    /// a transactional id.
    public func newProducerID() async throws(DatabaseError) -> Int64 {
        try checkOpen()
        return try await (try services.transactionCoordinator()).newProducerID()
    }

    /// The transactions that could not be ended yet, by transactional id and partition: open ones
    /// whose holder is gone or took too long, and those that were decided and whose marker could
    /// not be written to each partition. They are tried again, at least every 33 s; meanwhile readers
    /// of committed records wait there, and calls for that transactional id throw the error. Other
    /// transactions go on.
    public var transactionFailures: [TransactionFailure] {
        get async { await services.transactionFailures() }
    }

    /// The longest that a transaction may take, Kafka's `transaction.max.timeout.ms`.
    public static let transactionMaxTimeoutMilliseconds = 900_000

    /// The producer of a transactional id. Ends what an earlier holder of the id left open, and
    /// fences it.
    ///
    /// A transaction that is open for `transactionTimeoutMilliseconds` (Kafka:
    /// `transaction.timeout.ms`) is aborted. Throws ``DatabaseError/Code/invalidName`` for an id
    /// that is empty or longer than 249 bytes.
    public func producer(
        transactionalID: String, transactionTimeoutMilliseconds: Int = 60_000
    ) async throws(DatabaseError) -> TransactionalProducer {
        try checkOpen()
        let limit = TransactionRecord.maximumIDBytes
        guard (1...limit).contains(transactionalID.utf8.count) else {
            throw DatabaseError(
                .invalidName,
                "a transactional id: expected 1 to \(limit) bytes, found "
                    + "\(transactionalID.utf8.count)")
        }
        let longest = Self.transactionMaxTimeoutMilliseconds
        guard (1...longest).contains(transactionTimeoutMilliseconds) else {
            throw DatabaseError(
                .invalidConfiguration,
                "transactionTimeoutMilliseconds: expected 1 to \(longest), found "
                    + "\(transactionTimeoutMilliseconds)")
        }
        let coordinator = try await services.transactionCoordinator()
        let identity = try await coordinator.initialise(
            transactionalID, timeoutMilliseconds: Int32(transactionTimeoutMilliseconds))
        let registry = registry
        return TransactionalProducer(
            transactionalID, identity, coordinator: coordinator
        ) { (name: String) async throws(DatabaseError) in
            try await registry.topic(name, creating: InternalTopic.configuration)
        }
    }
}
