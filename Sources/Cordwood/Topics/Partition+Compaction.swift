public import CordwoodLog

extension Partition {
    /// Keeps only the latest record of each key; see ``Log/compact(force:options:)``.
    @discardableResult
    public func compact(
        force: Bool = false, options: CompactionOptions = .init()
    ) async throws(LogError) -> CompactionReport? {
        try await log.compact(force: force, options: options)
    }
}
