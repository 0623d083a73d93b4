import CordwoodStorage

/// How the segments that a pass writes become part of the log.
extension PartitionLog {
    /// Names a new segment in the manifest, so that its files are known to be garbage until a
    /// replacement takes them in.
    func stage(
        at baseOffset: Int64, for group: [SealedSegment<S>]
    ) async throws(LogError) -> SegmentID {
        var id = SegmentID(baseOffset: baseOffset)
        try await changingStructure("compacting") { () async throws(StorageError) in
            // Above those of all inputs, so that no name ever stands for two contents.
            let newest = group.map(\.info.id.generation).max() ?? 0
            id.generation = max(
                newest &+ 1, manifest.manifest.unusedID(baseOffset: baseOffset).generation)
            manifest.inProgress.insert(id)
            try await manifest.commit([.stage(id)])
        }
        return id
    }

    /// Puts new segments in the place of a group, for good. False when the group is no longer part
    /// of the log as it was read; then the new segments are given up. After a failure they stay:
    /// the manifest on disk may have taken them in, and opening the log decides.
    func replace(
        _ group: [SealedSegment<S>], with infos: [SegmentInfo]
    ) async throws(LogError) -> Bool {
        let old = group.map(\.info)
        var isCurrent = false
        try await changingStructure("compacting") { () async throws(StorageError) in
            let sealed = manifest.manifest.sealed
            guard let start = sealed.firstIndex(where: { $0.id == old[0].id }),
                start + old.count <= sealed.count,
                Array(sealed[start..<start + old.count]) == old
            else { return }
            isCurrent = true
            try await manifest.commit([
                .replace(removing: old.map(\.id), with: infos, cleanedUpTo: 0)
            ])
            let fresh = infos.map { sealedSegment($0) }
            state.publish { snapshot in
                let place = snapshot.sealed.firstIndex { $0.info.id == old[0].id }
                guard let place else { return }
                snapshot.sealed.replaceSubrange(place..<place + old.count, with: fresh)
            }
        }
        manifest.inProgress.subtract(infos.map(\.id))
        await removeGarbage()
        return isCurrent
    }

    /// Removes what was staged and is not wanted.
    func discard(_ output: CompactionOutput<S>) async {
        await output.current?.close()
        manifest.inProgress.subtract(output.ids)
        await removeGarbage()
    }
}

/// The segments that a group turns into.
struct CompactionOutput<S: Storage> {
    var current: CompactedSegment<S>?
    var infos: [SegmentInfo] = []
    var ids: [SegmentID] = []

    mutating func begin(
        at baseOffset: Int64, for group: [SealedSegment<S>],
        in log: isolated PartitionLog<S>
    ) async throws(LogError) {
        let id = try await log.stage(at: baseOffset, for: group)
        ids.append(id)
        let header = SegmentHeader(
            logID: log.manifest.logID, baseOffset: id.baseOffset, generation: id.generation)
        do throws(StorageError) {
            current = try await CompactedSegment.create(
                header, in: log.directory, on: log.storage, configuration: log.configuration)
        } catch { throw LogError(error, while: "creating a compacted segment") }
    }

    mutating func finish(_ group: [SealedSegment<S>]) async throws(LogError) {
        let time = group.map(\.info.times.lastAppendTime).max() ?? 0
        if let info = try await current?.finish(lastAppendTime: time) { infos.append(info) }
        current = nil
    }
}
