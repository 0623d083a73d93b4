import CordwoodStorage

/// The files of a segment that compaction writes. Nothing of it counts before the manifest names it,
/// so a failure leaves only files to be removed.
///
/// Owned by one pass, which alone calls it.
final class CompactedSegment<S: Storage> {
    /// How much is written between two syncs: a sync of a whole segment at its end would hold up
    /// those of the appends.
    private static var syncBytes: Int { 2 << 20 }

    let builder: SegmentBuilder
    private let storage: S
    private let file: S.File
    private let index: IndexFile<S, OffsetIndex>
    private let timeIndex: IndexFile<S, TimeIndex>
    private var unsyncedBytes = 0
    /// The write under way.
    private var writing: Task<Result<Void, StorageError>, Never>?

    private init(
        _ builder: SegmentBuilder, on storage: S, file: S.File, index: IndexFile<S, OffsetIndex>,
        timeIndex: IndexFile<S, TimeIndex>
    ) {
        self.builder = builder
        self.storage = storage
        self.file = file
        self.index = index
        self.timeIndex = timeIndex
    }

    /// Begins a segment whose name the manifest has staged.
    static func create(
        _ header: SegmentHeader, in directory: StoragePath, on storage: S,
        configuration: LogConfiguration
    ) async throws(StorageError) -> CompactedSegment {
        let file = try await storage.open(
            SegmentFiles.log(header.id, in: directory), .openOrCreate)
        try await file.truncate(to: 0)
        return CompactedSegment(
            SegmentBuilder(header, indexIntervalBytes: configuration.indexIntervalBytes),
            on: storage, file: file,
            index: IndexFile(header: header, directory: directory, storage: storage),
            timeIndex: IndexFile(header: header, directory: directory, storage: storage))
    }

    /// Begins to write what the builder holds, once the write before it has ended, so that the disk
    /// works while the next step is computed. A failure is thrown by the next call.
    func flush() async throws(StorageError) {
        try await waitForWrite()
        guard let write = builder.takePending() else { return }
        unsyncedBytes += write.count
        let syncs = unsyncedBytes >= Self.syncBytes
        if syncs { unsyncedBytes = 0 }
        writing = Task.immediate(executorPreference: storage.ownTasksExecutor) { [file] in
            do throws(StorageError) {
                return .success(
                    try await file.write([write], thenSync: syncs, inBackground: true))
            } catch { return .failure(error) }
        }
    }

    private func waitForWrite() async throws(StorageError) {
        defer { writing = nil }
        try await writing?.value.get()
    }

    /// Makes the segment and its indexes durable, with their names.
    func finish(lastAppendTime: Int64) async throws(LogError) -> SegmentInfo {
        let (info, page) = builder.finish(lastAppendTime: lastAppendTime)
        do throws(StorageError) {
            try await flush()
            try await waitForWrite()
            try await file.write(page, thenSync: true, inBackground: true)
            await file.close()
        } catch { throw LogError(error, while: "writing a compacted segment") }
        // Also makes the names durable.
        try await index.replace(with: builder.index)
        try await timeIndex.replace(with: builder.timeIndex)
        return info
    }

    /// For a segment that is given up: how its last write ended does not matter.
    func close() async {
        _ = await writing?.value
        await file.close()
    }
}
