import CordwoodLog
import CordwoodStorage
import CordwoodVectors

extension Sealer {
    /// Takes a segment that cannot be read out of a view: its live points are read from the log into the
    /// head, where they are searched exactly, and from where they are sealed again as any others. As
    /// ``CollectionReplay`` has it when a file is found damaged at opening.
    ///
    /// O(bytes of the log that the points are in). Each point is found exactly once at any moment by
    /// searches that do not need what is damaged. Whoever else needs it waits for the first.
    ///
    /// `truncations` are those that the view knows of: throws ``DatabaseError/Code/cancelled`` when there
    /// are more, and in a cancelled task; ``DatabaseError/Code/log`` where the log is damaged as well. The
    /// segment is there still, then, with the points that were not read.
    func mend(
        _ segment: CollectionSegment, _ problem: VectorError, in view: CollectionView<S>,
        truncations: Int
    ) async throws(DatabaseError) {
        if let note = store.note(problem, of: segment) { await noted(note) }
        try await store.mending.withLock { () async throws(DatabaseError) in
            func check() throws(DatabaseError) {
                if Task.isCancelled || log.truncations.count != truncations {
                    throw DatabaseError(.cancelled, "segment \(segment.number) of \(name)")
                }
            }
            let entries = await view.read { $0.entries(of: segment) }
            do throws(DatabaseError) {
                try await points.read(entries, check: check) { found throws(DatabaseError) in
                    // A view of records that were cut since is nobody's any more.
                    try check()
                    do throws(VectorError) {
                        try await view.write { points throws(VectorError) in
                            try points.restore(found, of: segment)
                        }
                    } catch { throw DatabaseError(error, "segment \(segment.number)") }
                }
            } catch {
                throw DatabaseError(
                    error.code,
                    "segment \(segment.number) of collection \(name) (\(problem)): its points were "
                        + "not read from the log",
                    cause: error)
            }
            try check()
            // What is left has no record any more.
            await view.write { $0.remove(segment) }
        }
    }
}
