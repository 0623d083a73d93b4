import CordwoodCache
import CordwoodLog
import CordwoodStorage

/// Opens a cached view's disk tier, and holds it against the log.
struct TierOpening {
    let configuration: DiskTierConfiguration
    let topic: Topic
    let isolation: Isolation
    let isOfOrigin: Bool

    /// The tier with the entries that are true up to the offsets, one for each partition, at which the view
    /// will begin to follow.
    ///
    /// Reads the blocks' indexes and the log behind the tier's positions: O(entries + bytes behind).
    /// What cannot be proved is dropped; the errors thrown are those of the storage, for what is not there
    /// at all.
    func open(upTo ends: [Int64]) async throws(DatabaseError) -> DiskTier {
        let claim = try topic.views.claim(configuration.name)
        let files = topic.views.tierFiles(claim)
        let found: [UInt64]
        let file: MemoryBlock?
        do throws(StorageError) {
            found = try await files.blocks()
            file = try await files.readManifest()
        } catch { throw DatabaseError(error, "view \(claim.name)") }
        var state = DiskTier.State(filling: DiskTier.Filling(number: 0))
        let manifest = file.flatMap { usable($0, &state) }
        var partitions: [UInt64: UInt32] = [:]
        for block in manifest?.blocks ?? [] {
            partitions.merge(await add(block, of: manifest!.identity, files, &state)) { $1 }
        }
        // Names are not used twice, whatever is left of a tier that is not used.
        let last = found.filter { $0 < TierManifest.maximumBlockNumber }.max()
        let next = max(manifest?.nextBlock ?? 0, last.map { $0 + 1 } ?? 0)
        state.filling = DiskTier.Filling(number: next)
        if let manifest { await validate(manifest, ends, partitions, &state) }
        for number in found where !state.blocks.contains(where: { $0.number == number }) {
            do throws(StorageError) { try await files.remove(number) } catch {
                state.statistics.writeFailures += 1
                state.note("could not remove block \(number): \(error)")
            }
        }
        state.garbage = []
        return DiskTier(
            configuration, files, claim, identity: manifest?.identity ?? files.newIdentity(),
            topic: topic.name, isOfOrigin: isOfOrigin, state: state)
    }

    private func usable(_ file: MemoryBlock, _ state: inout DiskTier.State) -> TierManifest? {
        let manifest: TierManifest
        do throws(TierBlock.Damage) { manifest = try TierManifest(file) } catch {
            state.note("begins anew: \(error)")
            return nil
        }
        guard manifest.topic == topic.name, manifest.isOfOrigin == isOfOrigin,
            manifest.valueVersion == configuration.version,
            manifest.positions.count == topic.partitions.count,
            manifest.nextBlock <= TierManifest.maximumBlockNumber
        else {
            state.note("begins anew: it was of another topic, source or version")
            return nil
        }
        return manifest
    }

    /// Adds a block's live entries; returns the partition of each, by its hash.
    private func add(
        _ listed: TierManifest.Block, of identity: UInt64, _ files: any TierFiles,
        _ state: inout DiskTier.State
    ) async -> [UInt64: UInt32] {
        let file: any StorageFile
        let header: TierBlock.Header
        let places: [TierBlock.Place]
        do {
            file = try await files.open(listed.number)
            let size = try await file.size()
            header = try TierBlock.header(
                try await file.read(at: 0, count: TierBlock.headerBytes), fileBytes: size)
            guard header.identity == identity, header.number == listed.number,
                header.entryCount == listed.entryCount
            else { throw TierBlock.Damage(description: "it is another tier's") }
            places = try TierBlock.places(
                try await file.read(
                    at: header.indexPosition, count: size - header.indexPosition), of: header)
        } catch {
            // One that made room for another, which was not committed any more, is no damage.
            if (error as? StorageError)?.code != .notFound {
                state.statistics.damagedBlocks += 1
                state.note("dropped block \(listed.number): \(error)")
            }
            return [:]
        }
        var block = DiskTier.Block(
            file: file, positions: places.map(\.position) + [UInt32(header.indexPosition)],
            hashes: places.map(\.hash), live: places.indices.map(listed.isLive),
            byteCount: header.byteCount)
        var partitions: [UInt64: UInt32] = [:]
        for (slot, place) in places.enumerated() where block.live[slot] {
            // No two live ones have one hash: the first of them counts.
            guard state.index[place.hash] == nil else {
                block.live[slot] = false
                continue
            }
            state.index[place.hash] = DiskTier.Location(
                block: listed.number, slot: Int32(slot))
            partitions[place.hash] = place.partition
        }
        state.blocks.append((listed.number, block))
        return partitions
    }

    /// Drops the entries that are not true up to the ends.
    private func validate(
        _ manifest: TierManifest, _ ends: [Int64], _ partitions: [UInt64: UInt32],
        _ state: inout DiskTier.State
    ) async {
        for partition in topic.partitions {
            let position = manifest.positions[partition.number]
            if let reason = await replay(partition, position, ends[partition.number], &state) {
                let number = UInt32(partition.number)
                for (hash, owner) in partitions where owner == number { state.forget(hash) }
                state.note("dropped the entries of partition \(number): the log \(reason)")
            }
        }
        // Of partitions that there are not.
        for (hash, owner) in partitions where Int(owner) >= topic.partitions.count {
            state.forget(hash)
        }
    }

    /// Forgets the keys of all records from a position to an end. Says why that proves nothing of the
    /// others; nil where it does.
    private func replay(
        _ partition: Partition, _ position: LogPosition, _ end: Int64,
        _ state: inout DiskTier.State
    ) async -> String? {
        let log = partition.log
        if let reason = await log.refusal(of: position) { return reason }
        guard position.offset <= end else { return "is not as far for this isolation" }
        guard log.startOffset <= position.offset else {
            return "begins at \(log.startOffset), behind \(position.offset)"
        }
        var next = position.offset
        // All that was appended, committed or not: what is aborted changes nothing, and costs little.
        var batches = BatchSequence(log, from: next, following: false, isolation: .uncommitted)
            .makeAsyncIterator()
        while next < end {
            do throws(LogError) {
                guard let batch = try await batches.next() else { break }
                guard batch.baseOffset <= next,
                    batch.isControl
                        || Int64(batch.recordCount) == batch.lastOffset - batch.baseOffset + 1
                else { return "has lost records behind \(next) to compaction" }
                if !batch.isControl {
                    var records = try RecordReader(batch)
                    while let record = try records.next() {
                        if let key = record.key { state.forget(StableHash.hash(key)) }
                    }
                }
                next = batch.lastOffset + 1
            } catch { return "cannot be read: \(error)" }
        }
        return next >= end ? nil : "ends before \(end)"
    }
}

extension DiskTier.State {
    fileprivate mutating func forget(_ hash: UInt64) {
        guard let location = index.removeValue(forKey: hash) else { return }
        setDead(location)
    }
}
