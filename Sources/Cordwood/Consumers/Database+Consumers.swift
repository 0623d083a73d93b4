extension Database {
    /// The consumer group of that name. It exists in the files once it has committed something.
    ///
    /// The database's first call replays the internal topic that holds all groups' offsets. Throws
    /// ``DatabaseError/Code/invalidName`` for a name that is empty or longer than 249 bytes.
    public func consumerGroup(_ name: String) async throws(DatabaseError) -> ConsumerGroup {
        try checkOpen()
        try ConsumerGroup.validate(name)
        let coordinator = try await services.groupCoordinator()
        return ConsumerGroup(
            name: name, coordinator: coordinator, session: coordinator.sessions.session(name))
    }

    /// The names of the groups that have committed anything, sorted.
    public func consumerGroupNames() async throws(DatabaseError) -> [String] {
        try checkOpen()
        return await (try services.groupCoordinator()).groupNames
    }
}
