/// One file of a ``SimulatedDisk``: what programs read (*cached*), what a power cut leaves for
/// certain (*durable*), and which sectors differ because nobody synced them.
///
/// A sector is in at most one of two sets. *Unsynced* sectors become durable with the next sync.
/// *Lost* sectors were unsynced when a sync failed: as in real kernels they are clean again, so
/// they stay readable and no later sync writes them.
struct FileImage {
    private(set) var cached = SparseBytes()
    private(set) var durable = SparseBytes()
    private var unsynced = SectorSet()
    private var lost = SectorSet()
    /// What a sector held at one moment since the last sync, where it was changed more than once:
    /// the kernel may have written that back.
    private var earlier: [Int: [UInt8]] = [:]
    private var earlierSize: Int?
    /// The size was changed before a sync that failed, and not since.
    private var sizeIsLost = false

    var size: Int { cached.count }

    /// Stores bytes, cached only. `random` decides which older contents the kernel wrote back.
    mutating func write(
        _ bytes: UnsafeRawBufferPointer, at position: Int, _ random: inout SplitMix64
    ) {
        if bytes.isEmpty { return }
        // A write past the end fills the gap with zeros, which are new contents too.
        touchStored(size..<max(size, min(position, durable.count)), &random)
        let end = position + bytes.count
        touch(position..<end, &random)
        if end > size { noteSizeChange(&random) }
        cached.write(bytes, at: position)
    }

    /// Changes the size, cached only.
    mutating func resize(to size: Int, _ random: inout SplitMix64) {
        if size == self.size { return }
        // Growing over bytes that are durable beyond the end must not bring them back.
        let start = min(size, self.size)
        let end = size < self.size ? max(self.size, durable.count) : min(size, durable.count)
        touchStored(start..<max(start, end), &random)
        noteSizeChange(&random)
        cached.resize(to: size)
    }

    /// Makes every unsynced sector and the size durable.
    mutating func sync() {
        if sizeIsLost {
            // The kernel forgot this size; only sectors written since can carry it further.
            let end = unsynced.sorted.last.map { ($0 + 1) * SectorSet.sectorBytes } ?? 0
            durable.resize(to: max(durable.count, min(size, end)))
        } else {
            durable.resize(to: size)
        }
        durable.replaceSectors(unsynced, from: cached)
        for sector in earlier.keys where unsynced.contains(sector) { earlier[sector] = nil }
        unsynced = SectorSet()
        if !sizeIsLost { earlierSize = nil }
    }

    /// A sync that failed: what it should have saved is clean now, and not durable.
    mutating func failSync() {
        lost.formUnion(unsynced)
        unsynced = SectorSet()
        if size != durable.count { sizeIsLost = true }
    }

    /// Forgets cached contents that are clean, as memory pressure does: what a failed sync lost is
    /// read from the disk again.
    mutating func dropCleanPages() {
        cached.replaceSectors(lost, from: durable)
        lost = SectorSet()
    }

    private mutating func touch(_ range: Range<Int>, _ random: inout SplitMix64) {
        let sectors = SectorSet.sectors(ofBytes: range)
        let written = SectorSet.sectors(ofBytes: 0..<size)
        for sector in sectors.clamped(to: written)
        where unsynced.contains(sector) || lost.contains(sector) {
            if random.coin() { earlier[sector] = cached.sector(sector) }
        }
        lost.remove(sectors)
        unsynced.insert(sectors)
    }

    /// Marks the sectors of a range that becomes zeros. Where neither image has a page, both are
    /// zeros already and nothing changes.
    private mutating func touchStored(_ range: Range<Int>, _ random: inout SplitMix64) {
        let pages = cached.storedPages(of: range).union(durable.storedPages(of: range))
        for page in pages.sorted() {
            let first = page * SparseBytes.pageBytes
            touch(range.clamped(to: first..<first + SparseBytes.pageBytes), &random)
        }
    }

    private mutating func noteSizeChange(_ random: inout SplitMix64) {
        if size != durable.count, random.coin() { earlierSize = size }
        sizeIsLost = false
    }
}

extension FileImage {
    /// What a power cut leaves, and every trace of what it took is gone: with `random`, each sector
    /// and the size are old or new independently; without, all are as the last sync left them.
    mutating func losePower(_ random: inout SplitMix64, keepingSome: Bool) {
        if keepingSome {
            var sizes = [durable.count, size]
            if let earlierSize { sizes.append(earlierSize) }
            durable.resize(to: sizes[random.below(sizes.count)])
            var changed = unsynced
            changed.formUnion(lost)
            for sector in changed.sorted { settle(sector, &random) }
        }
        let survivor = durable
        self = FileImage()
        (cached, durable) = (survivor, survivor)
    }

    private mutating func settle(_ sector: Int, _ random: inout SplitMix64) {
        let keepsNew = random.coin()
        let keepsEarlier = random.coin()
        if keepsNew, sector * SectorSet.sectorBytes < size {
            durable.replaceSector(sector, with: cached.sector(sector))
        } else if keepsEarlier, let bytes = earlier[sector] {
            durable.replaceSector(sector, with: bytes)
        }
    }

    /// Damages both images alike: `body` gets each one's bytes of `range` that exist.
    mutating func damage(_ range: Range<Int>, _ body: (inout [UInt8]) -> Void) {
        let sectors = SectorSet.sectors(ofBytes: range)
        earlier = earlier.filter { !sectors.contains($0.key) }
        Self.damage(&cached, range, body)
        Self.damage(&durable, range, body)
    }

    private static func damage(
        _ image: inout SparseBytes, _ range: Range<Int>, _ body: (inout [UInt8]) -> Void
    ) {
        let present = range.clamped(to: 0..<image.count)
        if present.isEmpty { return }
        var bytes = [UInt8](repeating: 0, count: present.count)
        bytes.withUnsafeMutableBytes { image.read(at: present.lowerBound, into: $0) }
        body(&bytes)
        bytes.withUnsafeBytes { image.write($0, at: present.lowerBound) }
    }

    /// Cuts both images, as if the file system had lost the rest.
    mutating func cut(to size: Int) {
        let gone = SectorSet.sectors(ofBytes: size..<max(self.size, durable.count, size))
        cached.resize(to: min(size, cached.count))
        durable.resize(to: min(size, durable.count))
        earlier = earlier.filter { !gone.contains($0.key) }
        if let earlierSize { self.earlierSize = min(size, earlierSize) }
    }
}
