import CordwoodLog

/// What a database runs beside its topics, each part opened when it is first needed.
actor DatabaseServices {
    private let registry: any DatabaseRegistry
    private var groups: Task<Result<GroupCoordinator, DatabaseError>, Never>?
    private var transactions: Task<Result<TransactionCoordinator, DatabaseError>, Never>?
    private var shared: [String: Task<Result<SharedTopic, DatabaseError>, Never>] = [:]
    /// Why the transactions could not be opened the last time.
    private var transactionsFailure: DatabaseError?

    private let offsetsRetentionMinutes: Int?
    private let transactionalIDExpirationMilliseconds: Int

    init(
        registry: any DatabaseRegistry, offsetsRetentionMinutes: Int?,
        transactionalIDExpirationMilliseconds: Int
    ) {
        self.registry = registry
        self.offsetsRetentionMinutes = offsetsRetentionMinutes
        self.transactionalIDExpirationMilliseconds = transactionalIDExpirationMilliseconds
    }

    /// The coordinator of the consumer groups. The first call replays its topic.
    func groupCoordinator() async throws(DatabaseError) -> GroupCoordinator {
        let task =
            groups
            ?? Task(executorPreference: registry.ownTasksExecutor) {
                [registry] () -> Result<GroupCoordinator, DatabaseError> in
                do throws(DatabaseError) {
                    // Offsets of transactions that a crash left open are decided first.
                    if registry.topicNames.contains(InternalTopic.transactionState.rawValue) {
                        try await self.transactionCoordinator().settleOffsets()
                    }
                    let topic = try await registry.topic(
                        InternalTopic.consumerOffsets.rawValue,
                        creating: InternalTopic.configuration)
                    return .success(
                        try await GroupCoordinator.open(topic[0].log, clock: registry.clock) {
                            name throws(DatabaseError) in
                            try await registry.topic(name, creating: nil)
                        })
                } catch { return .failure(error) }
            }
        groups = task
        let result = await task.value
        // A failure is not kept: what it came from may be over at the next call.
        if case .failure = result, groups == task { groups = nil }
        return try result.get()
    }

    /// Gives up the offsets of consumer groups that are gone; see
    /// ``DatabaseOptions/offsetsRetentionMinutes``.
    func expireOffsets(now: Int64) async throws(DatabaseError) {
        guard let minutes = offsetsRetentionMinutes,
            registry.topicNames.contains(InternalTopic.consumerOffsets.rawValue)
        else { return }
        try await groupCoordinator().expire(now: now, after: Int64(minutes) * 60_000)
    }

    /// How far each group is behind in the partitions that are open; of the others nobody knows how
    /// far they reach.
    func lags(in open: [TopicPartition: any Log]) async throws(DatabaseError) -> [GroupLag] {
        guard registry.topicNames.contains(InternalTopic.consumerOffsets.rawValue) else {
            return []
        }
        let coordinator = try await groupCoordinator()
        var lags: [GroupLag] = []
        for group in await coordinator.groupNames {
            for (place, committed) in await coordinator.committed(group).sorted(by: {
                $0.key < $1.key
            }) {
                guard let log = open[place] else { continue }
                lags.append(
                    GroupLag(
                        group: group, place: place,
                        records: committed.lag(in: log, isolation: .committed)))
            }
        }
        return lags
    }

    /// The coordinator of the transactions. The first call replays its topic, and ends what a crash
    /// left open.
    func transactionCoordinator() async throws(DatabaseError) -> TransactionCoordinator {
        let task =
            transactions
            ?? Task(executorPreference: registry.ownTasksExecutor) {
                [registry, transactionalIDExpirationMilliseconds]
                () -> Result<TransactionCoordinator, DatabaseError> in
                do throws(DatabaseError) {
                    let topic = try await registry.topic(
                        InternalTopic.transactionState.rawValue,
                        creating: InternalTopic.configuration)
                    let coordinator = try await TransactionCoordinator.open(
                        topic[0].log, clock: registry.clock,
                        idExpirationMilliseconds: transactionalIDExpirationMilliseconds
                    ) { name throws(DatabaseError) in
                        try await registry.topic(name, creating: nil)
                    } resolveGroups: { [weak self] () throws(DatabaseError) in
                        // The coordinator belongs to this, and must not keep it.
                        guard let self else {
                            throw DatabaseError(.closed, "the database was closed")
                        }
                        return try await self.groupCoordinator()
                    }
                    Self.lookAfter(coordinator)
                    return .success(coordinator)
                } catch { return .failure(error) }
            }
        transactions = task
        let result = await task.value
        if transactions == task {
            transactionsFailure = nil
            if case .failure(let error) = result {
                transactions = nil
                transactionsFailure = error
            }
        }
        return try result.get()
    }

    /// The shared topic of that name, of which there is one: it decides every write. The first call
    /// folds its log.
    func sharedTopic(
        _ name: String, _ configuration: SharedTopicConfiguration
    ) async throws(DatabaseError) -> SharedTopic {
        let task =
            shared[name]
            ?? Task(executorPreference: registry.ownTasksExecutor) {
                [registry] () -> Result<SharedTopic, DatabaseError> in
                do throws(DatabaseError) {
                    let topic = try await registry.topic(
                        InternalTopic.shared(name), creating: InternalTopic.sharedConfiguration)
                    return .success(
                        try await SharedTopic.open(
                            topic, name: name, configuration, clock: registry.clock,
                            drawIdentity: { registry.randomIdentity() }))
                } catch { return .failure(error) }
            }
        shared[name] = task
        let result = await task.value
        if case .failure = result, shared[name] == task { shared[name] = nil }
        return try result.get()
    }

    /// The shared topics that are open.
    func openSharedTopics() async -> [SharedTopic] {
        var topics: [SharedTopic] = []
        for (_, task) in shared.sorted(by: { $0.key < $1.key }) {
            if case .success(let topic) = await task.value { topics.append(topic) }
        }
        return topics
    }

    /// What keeps transactions from being ended.
    func transactionFailures() async -> [TransactionFailure] {
        if let transactionsFailure {
            return [
                TransactionFailure(
                    transactionalID: nil, place: TransactionCoordinator.statePlace,
                    error: transactionsFailure)
            ]
        }
        guard case .success(let coordinator)? = await transactions?.value else { return [] }
        return await coordinator.failures
    }

    /// Ends the transactions that a crash left open, so that readers of committed records get on.
    /// Where that fails, ``transactionFailures()`` says why, and the first call that needs the
    /// transactions tries again.
    func recoverTransactions() async {
        guard registry.topicNames.contains(InternalTopic.transactionState.rawValue) else { return }
        // The error is kept.
        _ = try? await transactionCoordinator()
    }

    /// Aborts what takes too long, and goes on with what could not be ended, for as long as the
    /// coordinator is there.
    private static func lookAfter(_ coordinator: TransactionCoordinator) {
        Task { [weak coordinator] in
            while true {
                // Not held on to meanwhile: with a database that is gone nothing is to be done.
                try? await Task.sleep(for: .seconds(1))
                guard let coordinator, !coordinator.isClosed else { return }
                await coordinator.lookAfter()
            }
        }
    }
}
