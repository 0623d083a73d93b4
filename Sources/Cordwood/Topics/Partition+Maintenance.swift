public import CordwoodLog

extension Partition {
    /// Whether it takes appends now, and why not.
    public var health: LogHealth { log.health }

    /// Gives up the records before an offset, for good, and returns where the log begins now. See
    /// ``Log/deleteRecords(before:)``.
    @discardableResult
    public func deleteRecords(before offset: Int64) async throws(LogError) -> Int64 {
        try await log.deleteRecords(before: offset)
    }

    /// Compacts everything that the configuration's minimum lag allows, the newest segment too, and
    /// returns how many bytes are left to compact. See ``Log/compact(force:options:)``.
    @discardableResult
    public func compact(_ options: CompactionOptions = .init()) async throws(LogError) -> Int {
        try await log.roll()
        _ = try await log.compact(force: false, options: options)
        return await log.cleanableBytes
    }
}
