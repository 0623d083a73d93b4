public import CordwoodLog

extension Partition {
    /// Keeps only the latest record of each key; see ``Log/compact(force:options:)``. With `force`
    /// the active segment is sealed first, so that what was appended so far is included.
    @discardableResult
    public func compact(
        force: Bool = false, options: CompactionOptions = .init()
    ) async throws(LogError) -> CompactionReport? {
        if force { try await log.roll() }
        return try await log.compact(force: force, options: options)
    }
}
