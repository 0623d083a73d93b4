import Cordwood

/// The texts of a partition's records that readers of an isolation see.
func texts(
    _ partition: Partition, _ isolation: Isolation = .committed
) async throws -> [String] {
    var found: [String] = []
    for try await record in partition.records(
        from: 0, following: false, isolation: isolation)
    {
        found.append(record.text!)
    }
    return found
}
