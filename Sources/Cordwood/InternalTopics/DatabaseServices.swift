/// What a database runs beside its topics, each part opened when it is first needed.
actor DatabaseServices {
    private let registry: any DatabaseRegistry
    private var groups: Task<Result<GroupCoordinator, DatabaseError>, Never>?

    init(registry: any DatabaseRegistry) { self.registry = registry }

    /// The coordinator of the consumer groups. The first call replays its topic.
    func groupCoordinator() async throws(DatabaseError) -> GroupCoordinator {
        let task =
            groups
            ?? Task { [registry] () -> Result<GroupCoordinator, DatabaseError> in
                do throws(DatabaseError) {
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
}
