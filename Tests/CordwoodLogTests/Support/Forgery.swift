import CordwoodSimulation
import CordwoodStorage

@testable import CordwoodLog

/// The files of a log, to be changed by somebody who knows the formats: checksums are made right
/// over whatever the bytes then say, so that the checks behind them are reached.
struct Forgery {
    private(set) var files: [(path: StoragePath, bytes: [UInt8])]
    private let logID: UInt64

    init(_ storage: SimulatedStorage, logID: UInt64 = testLogID) {
        files = storage.files.map { ($0, storage.contents(of: $0) ?? []) }
        self.logID = logID
    }

    /// The files on a disk of their own.
    func storage(seed: UInt64) async throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: seed)
        try await storage.createDirectory(logPath())
        for (path, bytes) in files {
            let file = try await storage.open(path, .create)
            try await file.write(
                [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
            await file.close()
        }
        try await storage.syncDirectory(logPath())
        try await storage.syncDirectory(.root)
        return storage
    }

    /// Changes one file as a number of steps of `random` have it. Half of the time the checksums of
    /// its parts are made right again, and half of these times the chain, too, with what other files
    /// say of it.
    mutating func change(_ random: inout SplitMix64) {
        let number = random.below(files.count)
        if random.below(30) == 0 {
            files.remove(at: number)
            return
        }
        for _ in 0..<1 + random.below(3) {
            Self.change(&files[number].bytes, of: files[number].path, &random)
        }
        guard random.below(4) > 0 else { return }
        seal(number)
        if random.coin() { chain(number) }
    }

    // MARK: Changes

    private static let numbers: [Int64] = [
        0, 1, 2, 5, 49, 255, 256, 4096, 1 << 16, 1 << 24, Int64(Int32.max), Int64(Int32.max) + 1,
        Int64(UInt32.max), 1 << 62, .max - 1, .max, -1, -2, .min, Int64(Int32.min),
    ]

    private static func change(
        _ bytes: inout [UInt8], of path: StoragePath, _ random: inout SplitMix64
    ) {
        guard !bytes.isEmpty else { return }
        switch random.below(12) {
        case 0: bytes.removeLast(random.below(bytes.count))
        case 1:
            bytes += [UInt8](repeating: random.coin() ? 0 : 7, count: 1 + random.below(5000))
        case 2:
            let start = random.below(bytes.count)
            for at in start..<min(start + 1 + random.below(600), bytes.count) { bytes[at] = 0 }
        case 3:
            let (from, to) = (random.below(bytes.count), random.below(bytes.count))
            for (at, byte) in bytes[from...].prefix(1 + random.below(200)).enumerated()
            where to + at < bytes.count { bytes[to + at] = byte }
        case 4: bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8))
        default: setNumber(&bytes, at: place(in: bytes, of: path, &random), &random)
        }
    }

    /// A place where a format is likely to have a field.
    private static func place(
        in bytes: [UInt8], of path: StoragePath, _ random: inout SplitMix64
    ) -> Int {
        guard path.description.hasSuffix(".log"), random.below(5) > 0 else {
            return random.below(min(bytes.count, random.coin() ? 200 : bytes.count))
        }
        let starts = [0, 512, 1024, 1536] + batches(in: bytes).map(\.lowerBound)
        return starts[random.below(starts.count)] + random.below(80)
    }

    private static func setNumber(
        _ bytes: inout [UInt8], at place: Int, _ random: inout SplitMix64
    ) {
        let width = 1 << random.below(4)
        let number = numbers[random.below(numbers.count)] &+ Int64(random.below(3) - 1)
        let isBig = random.coin()
        for index in 0..<width where place + index < bytes.count {
            let shift = 8 * (isBig ? width - 1 - index : index)
            bytes[place + index] = UInt8(truncatingIfNeeded: number >> Int64(shift))
        }
    }

    // MARK: Checksums

    /// Makes the checksums right in one file, each over the bytes that it covers.
    mutating func seal(_ number: Int) {
        let name = files[number].path.names.last ?? ""
        var bytes = files[number].bytes
        switch name.split(separator: ".").last {
        case "log": Self.sealSegment(&bytes, identity(of: name))
        case "index", "timeindex", "txnindex":
            for page in stride(from: 0, to: bytes.count, by: IndexPage.byteCount) {
                Self.sealWhole(&bytes, page..<min(page + IndexPage.byteCount, bytes.count))
            }
        case "snapshot": Self.sealWhole(&bytes, 0..<bytes.count)
        default: Self.sealEdits(&bytes)
        }
        files[number].bytes = bytes
    }

    private func identity(of name: String) -> SegmentHeader {
        let id = SegmentFiles.id(ofLogNamed: name) ?? SegmentID(baseOffset: 0)
        return SegmentHeader(logID: logID, baseOffset: id.baseOffset, generation: id.generation)
    }

    private static func sealSegment(_ bytes: inout [UInt8], _ header: SegmentHeader) {
        store(crc(bytes, 0..<60), in: &bytes, at: 60)
        let seed = BatchChain(logID: header.logID, baseOffset: header.baseOffset).value
        for slot in Watermark.slotPositions + [SealSlot.position] {
            store(crc(bytes, slot..<slot + 60, seed: seed), in: &bytes, at: slot + 60)
        }
        for batch in batches(in: bytes) {
            let checksum = crc(bytes, batch.lowerBound + 21..<batch.upperBound)
            store(checksum.byteSwapped, in: &bytes, at: batch.lowerBound + 17)
        }
    }

    /// A page or a snapshot, whose checksum counts itself as zero.
    private static func sealWhole(_ bytes: inout [UInt8], _ range: Range<Int>) {
        store(0, in: &bytes, at: range.lowerBound + 12)
        store(crc(bytes, range), in: &bytes, at: range.lowerBound + 12)
    }

    private static func sealEdits(_ bytes: inout [UInt8]) {
        store(crc(bytes, 0..<28), in: &bytes, at: 28)
        for edit in edits(in: bytes) {
            let seed = crc(bytes, edit.lowerBound..<edit.lowerBound + 8)
            let checksum = crc(bytes, edit.lowerBound + 12..<edit.upperBound, seed: seed)
            store(checksum, in: &bytes, at: edit.lowerBound + 8)
        }
    }

    // MARK: The chain

    /// Makes the chain right in a segment's watermarks and seal, its index and the manifest, where
    /// they name a place that the batches lead to.
    private mutating func chain(_ number: Int) {
        let name = files[number].path.names.last ?? ""
        guard let id = SegmentFiles.id(ofLogNamed: name) else { return }
        var place = SegmentCursor.start(logID: logID, baseOffset: id.baseOffset)
        var places = [place.position: place]
        for batch in Self.batches(in: files[number].bytes) {
            files[number].bytes[batch].withUnsafeBytes { bytes in
                guard let header = BatchHeader(bytes) else { return }
                place.chain.absorb(bytes)
                place.nextOffset = header.baseOffset &+ Int64(header.lastOffsetDelta) &+ 1
            }
            place.position = batch.upperBound
            places[place.position] = place
        }
        for slot in Watermark.slotPositions + [SealSlot.position] {
            let known = places[Self.load(files[number].bytes, at: slot + 8)]
            if let known { Self.store(known.chain.value, in: &files[number].bytes, at: slot + 24) }
        }
        seal(number)
        chainIndex(of: id, places)
        chainManifest(of: id, places)
    }

    private mutating func chainIndex(of id: SegmentID, _ places: [Int: SegmentCursor]) {
        guard let index = files.firstIndex(where: { $0.path.names.last == "\(id).index" })
        else { return }
        for page in stride(from: 0, to: files[index].bytes.count, by: IndexPage.byteCount) {
            for entry in stride(from: page + 40, to: page + IndexPage.byteCount - 11, by: 12) {
                let position = Self.load(files[index].bytes, at: entry + 4) & 0xFFFF_FFFF
                guard let known = places[position] else { continue }
                Self.store(known.chain.value, in: &files[index].bytes, at: entry + 8)
            }
        }
        seal(index)
    }

    private mutating func chainManifest(of id: SegmentID, _ places: [Int: SegmentCursor]) {
        guard let manifest = files.firstIndex(where: { $0.path.names.last == "manifest" })
        else { return }
        var bytes = Array(files[manifest].bytes.prefix(EditFrame.headerByteCount))
        for (sequence, frame) in Self.edits(in: files[manifest].bytes).enumerated() {
            let payload = Array(files[manifest].bytes[frame].dropFirst(12))
            var edit = SegmentEdit(payload)
            func chained(_ info: SegmentInfo) -> SegmentInfo {
                var info = info
                if info.id == id, let known = places[info.end.position] { info.end = known }
                return info
            }
            switch edit {
            case .seal(let info): edit = .seal(chained(info))
            case .replace(let removed, let added, let offset):
                edit = .replace(
                    removing: removed, with: added.map(chained), cleanedUpTo: offset)
            default: break
            }
            let written = edit?.encode() ?? payload
            guard written.count <= EditFrame.maximumPayloadBytes else { return }
            bytes += EditFrame.encode(written, sequence: UInt32(sequence)).array
        }
        files[manifest].bytes = bytes
    }

    // MARK: Parts

    /// Where batches lie, by their lengths alone.
    static func batches(in bytes: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var start = SegmentHeader.byteCount
        while start + BatchHeader.byteCount <= bytes.count {
            let length = Int(
                Int32(truncatingIfNeeded: load(bytes, at: start + 8)).byteSwapped)
            guard length >= 49, length <= bytes.count - start - 12 else { break }
            found.append(start..<start + 12 + length)
            start += 12 + length
        }
        return found
    }

    private static func edits(in bytes: [UInt8]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var start = EditFrame.headerByteCount
        while start + 12 < bytes.count {
            let length = load(bytes, at: start) & 0xFFFF_FFFF
            guard length > 0, length <= bytes.count - start - 12 else { break }
            found.append(start..<start + 12 + length)
            start += 12 + length
        }
        return found
    }

    private static func crc(_ bytes: [UInt8], _ range: Range<Int>, seed: UInt32 = 0) -> UInt32 {
        bytes[range.clamped(to: 0..<bytes.count)].withUnsafeBytes { crc32c($0, seed: seed) }
    }

    private static func load(_ bytes: [UInt8], at place: Int) -> Int {
        guard place + 8 <= bytes.count else { return 0 }
        return bytes.withUnsafeBytes {
            Int(truncatingIfNeeded: $0.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        }
    }

    private static func store(_ value: UInt32, in bytes: inout [UInt8], at place: Int) {
        guard place + 4 <= bytes.count else { return }
        withUnsafeBytes(of: value) { bytes.replaceSubrange(place..<place + 4, with: $0) }
    }
}
