import CordwoodCache
import CordwoodLog
import CordwoodStorage
import Synchronization

/// The part of a cached view that lies on disk: values that left memory, in blocks that are written once,
/// and in memory where each key's is.
///
/// Only true values are in it: a key is forgotten here before the view says that it has seen its record. The
/// oldest block goes as a whole when there are too many bytes or entries, so that nothing on disk is ever
/// moved. Memory: some 80 bytes an entry, and the blocks that are filled and written.
final class DiskTier: Sendable {
    /// An entry's block and its number there. Keys of one hash are taken for one: the younger replaces the
    /// older, and a record of either forgets both; reading compares the keys.
    struct Location: Sendable, Hashable {
        var block: UInt64
        var slot: Int32
    }

    /// A block on disk.
    struct Block: Sendable {
        var file: any StorageFile
        /// Where each entry begins, and the last one ends.
        var positions: [UInt32]
        /// Of each entry.
        var hashes: [UInt64]
        var live: [Bool]
        var byteCount: Int
    }

    /// A block that is filled, or written.
    struct Filling: Sendable {
        var number: UInt64
        var entries: [TierBlock.Entry] = []
        var hashes: [UInt64] = []
        var live: [Bool] = []
        var byteCount = 0
    }

    struct State: Sendable {
        var index: [UInt64: Location] = [:]
        /// By number, the oldest first.
        var blocks: [(number: UInt64, block: Block)] = []
        var filling: Filling
        var writing: Filling?
        /// Blocks that are no longer used, whose files go after the next commit.
        var garbage: [UInt64] = []
        var statistics = DiskTierStatistics()
    }

    let configuration: DiskTierConfiguration
    private let files: any TierFiles
    /// Held until the tier is released: two that write the same blocks would overwrite each other.
    private let claim: ViewClaim
    private let identity: UInt64
    private let topicName: String
    private let isOfOrigin: Bool
    private let state: Mutex<State>
    /// One block after the other is written.
    let turn = AsyncLock()

    init(
        _ configuration: DiskTierConfiguration, _ files: any TierFiles, _ claim: ViewClaim,
        identity: UInt64, topic: String, isOfOrigin: Bool, state: State
    ) {
        self.configuration = configuration
        self.files = files
        self.claim = claim
        self.identity = identity
        topicName = topic
        self.isOfOrigin = isOfOrigin
        self.state = Mutex(state)
    }

    var statistics: DiskTierStatistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.entryCount = state.index.count
            statistics.blockCount = state.blocks.count
            statistics.byteCount = state.blocks.reduce(0) { $0 + $1.block.byteCount }
            return statistics
        }
    }

    func note(failure: String) {
        state.withLock { state in
            state.statistics.writeFailures += 1
            state.note("could not write: \(failure)")
        }
    }

    func countRefusal() { state.withLock { $0.statistics.refusedFills += 1 } }

    // MARK: What the view says

    /// Forgets a key. O(1).
    func forget(_ key: [UInt8]) {
        let hash = StableHash.hash(key)
        state.withLock { state in
            guard let location = state.index.removeValue(forKey: hash) else { return }
            state.setDead(location)
        }
    }

    func forgetAll() {
        state.withLock { state in
            state.index = [:]
            state.garbage += state.blocks.map(\.number)
            state.blocks = []
            state.filling = Filling(number: state.filling.number)
            if let count = state.writing?.live.count {
                state.writing?.live = Array(repeating: false, count: count)
            }
        }
    }

    /// Takes a value in, which is true up to an offset and will be until its key is forgotten. One that is
    /// there is the same. O(bytes).
    func admit(_ key: [UInt8], _ value: [UInt8], partition: Int, offset: Int64) {
        let hash = StableHash.hash(key)
        let entry = TierBlock.Entry(
            key: key, value: value, partition: UInt32(partition), offset: offset)
        state.withLock { state in
            // What is not yet written is bounded, and an entry must leave room for others.
            guard state.index[hash] == nil,
                entry.byteCount <= min(configuration.maximumBytes / 2, TierBlock.maximumEntryBytes),
                state.filling.byteCount < configuration.blockBytes
            else { return }
            state.index[hash] = Location(
                block: state.filling.number, slot: Int32(state.filling.entries.count))
            state.filling.entries.append(entry)
            state.filling.hashes.append(hash)
            state.filling.live.append(true)
            state.filling.byteCount += entry.byteCount
            state.statistics.admitted += 1
        }
    }

    var isSealDue: Bool { state.withLock { $0.filling.byteCount >= configuration.blockBytes } }

    // MARK: Reading

    /// The value of a key; nil where there is none. One read of the entry's bytes. A block with an entry
    /// that does not hold is dropped.
    func value(for key: [UInt8]) async -> [UInt8]? {
        let hash = StableHash.hash(key)
        let found = state.withLock { $0.find(hash, key) }
        switch found {
        case .value(let value):
            state.withLock { $0.statistics.hits += 1 }
            return value
        case .none:
            state.withLock { $0.statistics.misses += 1 }
            return nil
        case .place(let number, let file, let range):
            let entry: TierBlock.Entry
            do {
                entry = try TierBlock.entry(
                    try await file.read(at: range.lowerBound, count: range.count))
            } catch {
                drop(number, "\(error)")
                return nil
            }
            let isFound = entry.key == key
            state.withLock { state in
                state.statistics.hits += isFound ? 1 : 0
                state.statistics.misses += isFound ? 0 : 1
            }
            return isFound ? entry.value : nil
        }
    }

    private func drop(_ number: UInt64, _ reason: String) {
        state.withLock { state in
            guard state.remove(number) else { return }
            state.statistics.misses += 1
            state.statistics.damagedBlocks += 1
            state.note("dropped block \(number): \(reason)")
        }
    }

    // MARK: Writing

    /// Writes what waits into a block; the caller has the turn. What cannot be written is forgotten.
    func writeBlock() async {
        let (writing, old) = state.withLock { state -> (Filling, [UInt64]) in
            let writing = state.filling
            guard !writing.entries.isEmpty else { return (writing, []) }
            state.writing = writing
            state.filling = Filling(number: writing.number + 1)
            return (writing, state.makeRoom(for: writing, configuration))
        }
        guard !writing.entries.isEmpty else { return }
        for number in old { await remove(number) }
        let (bytes, places) = TierBlock.encode(
            writing.entries, identity: identity, number: writing.number)
        var file: (any StorageFile)?
        do throws(StorageError) {
            file = try await files.write(writing.number, bytes)
        } catch { note(failure: "block \(writing.number): \(error)") }
        state.withLock { state in
            // Some of them may have been forgotten meanwhile.
            let live = state.writing?.live ?? []
            state.writing = nil
            if let file {
                let end = UInt32(bytes.count - 4 - places.count * TierBlock.indexEntryBytes)
                state.blocks.append(
                    (
                        writing.number,
                        Block(
                            file: file, positions: places.map(\.position) + [end],
                            hashes: writing.hashes, live: live, byteCount: bytes.count)
                    ))
            } else {
                for (slot, hash) in writing.hashes.enumerated() where live[slot] {
                    state.index[hash] = nil
                }
                state.garbage.append(writing.number)
            }
        }
    }

    /// What the manifest says of blocks.
    func liveEntries() -> [TierManifest.Block] {
        state.withLock { state in
            state.blocks.map { number, block in
                var live = [UInt8](repeating: 0, count: (block.live.count + 7) / 8)
                for (slot, isLive) in block.live.enumerated() where isLive {
                    live[slot / 8] |= 1 << (slot % 8)
                }
                return TierManifest.Block(
                    number: number, entryCount: block.live.count, live: live)
            }
        }
    }

    /// Makes durable which entries are live, and up to where; then the files of blocks that are not used
    /// any more go. The caller has the turn.
    func commit(_ blocks: [TierManifest.Block], _ positions: [LogPosition]) async {
        let manifest = TierManifest(
            valueVersion: configuration.version, isOfOrigin: isOfOrigin, identity: identity,
            nextBlock: state.withLock { $0.filling.number }, topic: topicName,
            positions: positions, blocks: blocks)
        guard let bytes = manifest.encode() else {
            return note(failure: "a manifest larger than \(TierManifest.maximumBytes) bytes")
        }
        do throws(StorageError) { try await files.replaceManifest(with: bytes) } catch {
            return note(failure: "the manifest: \(error)")
        }
        let garbage = state.withLock { state in
            defer { state.garbage = [] }
            return state.garbage
        }
        for number in garbage { await remove(number) }
    }

    private func remove(_ number: UInt64) async {
        do throws(StorageError) { try await files.remove(number) } catch {
            // It is removed at the next opening, which looks for those that are not named.
            if error.code != .notFound { note(failure: "removing block \(number): \(error)") }
        }
    }
}

extension DiskTier.State {
    enum Found: Sendable {
        case none
        case value([UInt8])
        case place(UInt64, any StorageFile, Range<Int>)
    }

    func find(_ hash: UInt64, _ key: [UInt8]) -> Found {
        guard let location = index[hash] else { return .none }
        let slot = Int(location.slot)
        for filling in [filling, writing] {
            guard let filling, filling.number == location.block else { continue }
            let entry = filling.entries[slot]
            return entry.key == key ? .value(entry.value) : .none
        }
        guard let place = place(of: location.block) else { return .none }
        let block = blocks[place].block
        return .place(
            location.block, block.file,
            Int(block.positions[slot])..<Int(block.positions[slot + 1]))
    }

    /// Where a block is in the list, which is sorted.
    private func place(of number: UInt64) -> Int? {
        var (low, high) = (0, blocks.count)
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < blocks.count && blocks[low].number == number ? low : nil
    }

    mutating func setDead(_ location: DiskTier.Location) {
        let slot = Int(location.slot)
        if filling.number == location.block {
            filling.live[slot] = false
        } else if writing?.number == location.block {
            writing?.live[slot] = false
        } else if let place = place(of: location.block) {
            blocks[place].block.live[slot] = false
        }
    }

    /// Forgets a block and its entries; false where there is none.
    mutating func remove(_ number: UInt64) -> Bool {
        guard let place = place(of: number) else { return false }
        let block = blocks.remove(at: place).block
        for (slot, hash) in block.hashes.enumerated() where block.live[slot] { index[hash] = nil }
        garbage.append(number)
        return true
    }

    /// Gives the oldest blocks up, whose files the caller removes, until there is room for another one.
    mutating func makeRoom(
        for filling: DiskTier.Filling, _ configuration: DiskTierConfiguration
    ) -> [UInt64] {
        var bytes = filling.byteCount + TierBlock.headerBytes + 4
        bytes += blocks.reduce(0) { $0 + $1.block.byteCount }
        var entries = filling.entries.count + blocks.reduce(0) { $0 + $1.block.live.count }
        var removed: [UInt64] = []
        while let oldest = blocks.first,
            bytes > configuration.maximumBytes || entries > configuration.maximumEntries
        {
            bytes -= oldest.block.byteCount
            entries -= oldest.block.live.count
            _ = remove(oldest.number)
            statistics.reclaimedBlocks += 1
            removed.append(oldest.number)
        }
        garbage.removeAll { removed.contains($0) }
        return removed
    }

    mutating func note(_ text: String) {
        if statistics.notes.count == 16 { statistics.notes.removeFirst() }
        statistics.notes.append(text)
    }
}
