import CordwoodLog
import CordwoodStorage
import CordwoodVectors
import Synchronization

/// The files of a collection's segments: `segments/manifest`, and two for each segment.
///
/// Whoever reads or changes them holds ``turn``: a view that is made anew, or a sealing.
///
/// **No file is another's.** Numbers are given from a random one on that differs from opening to opening.
/// So whatever goes on in what was thought to have ended, it writes and removes no file of a database
/// that was opened since. And the database's lock is held for as long as anybody can seal.
final class SegmentStore<S: Storage>: Sendable {
    private static var manifestName: String { "manifest" }
    private static var pageBytes: Int { 4096 }
    /// What files are called while they are written, or what they are made of.
    private static var halfWritten: [String] { [".new", ".rows", ".pieces"] }

    /// What is on disk, and what it is a view of.
    struct Committed: Sendable {
        var manifest: SegmentManifest
        var segments: [CollectionSegment]
        /// How many truncations of the log were known when it was true.
        var truncations: Int
    }

    private struct State {
        /// Nil before the files were looked at, and where nothing of them can be used.
        var committed: Committed?
        var wasRead = false
        var nextNumber: Int64
        /// The segments that the manifest on disk names.
        var named: Set<Int64> = []
        var problems: [String] = []
        /// What was found wrong and is named still, or was when nothing has been named since.
        var damage: [SegmentDamage] = []
    }

    let format: SegmentFormat
    let turn = AsyncLock()
    /// Held by who reads the points of a damaged segment from the log.
    let mending = AsyncLock()
    let storage: S
    private let name: String
    private let directory: StoragePath
    private let state: Mutex<State>
    /// How far beyond all numbers known this opening begins, at least 1.
    private let leap: Int64
    private let lock: DatabaseLock

    /// `directory` is the collection's folder, in a database that is open under `lock`.
    init(
        _ format: SegmentFormat, in directory: StoragePath, on storage: S, name: String,
        lock: DatabaseLock
    ) throws(StorageError) {
        self.format = format
        self.storage = storage
        self.lock = lock
        // Of a database that was opened 2^30 times the numbers are still below their limit.
        leap = 1 + Int64(storage.randomIdentity() % (1 << 32))
        state = Mutex(State(nextNumber: leap))
        self.name = name
        self.directory = try directory.appending("segments")
    }

    /// Throws ``DatabaseError/Code/closed`` once the database was closed.
    func checkOpen() throws(DatabaseError) {
        guard lock.isHeld else { throw DatabaseError(.closed, "collection \(name)") }
    }

    /// What was found wrong with the files, a sentence each; told once.
    func takeProblems() -> [String] {
        state.withLock { state in
            defer { state.problems = [] }
            return state.problems
        }
    }

    /// What was found wrong with files that nothing has taken the place of yet.
    var damage: [SegmentDamage] { state.withLock { $0.damage } }

    /// Notes what is wrong with a segment that is in use; returns it in a sentence, the first time.
    func note(_ problem: VectorError, of segment: CollectionSegment) -> String? {
        state.withLock { state in
            guard !state.damage.contains(where: { $0.segment == segment.number }) else {
                return nil
            }
            state.damage.append(SegmentDamage(segment: segment.number, problem: "\(problem)"))
            return "segment \(segment.number) of collection \(name): \(problem); its points are "
                + "read from the log again"
        }
    }

    /// Notes what is wrong with a segment's files, or with what names them all.
    private func note(_ problem: String, of segment: Int64?, _ consequence: String) {
        state.withLock { state in
            let place = segment.map { "segment \($0): " } ?? ""
            state.problems.append("collection \(name): \(place)\(problem)\(consequence)")
            state.damage.append(SegmentDamage(segment: segment, problem: problem))
        }
    }

    // MARK: Reading

    /// The segments that are of the log as it is, and the offset to replay it from; nil where their
    /// bitmaps are of no use, so that the whole log says what is live in them.
    func open(for log: any Log) async -> (segments: [LiveSegment], replayFrom: Int64?) {
        let truncations = log.truncations
        if let committed = state.withLock({ $0.committed }) {
            let cut = truncations.dropFirst(committed.truncations).min() ?? .max
            guard cut < committed.manifest.position.offset else {
                return (live(committed), committed.manifest.position.offset)
            }
            let kept = committed.segments.filter { $0.offsetRange.upperBound <= cut }
            return (kept.map { LiveSegment($0, allLive: false) }, nil)
        }
        guard !state.withLock({ $0.wasRead }), let read = await readFiles(for: log) else {
            return ([], nil)
        }
        let committed = Committed(
            manifest: read.manifest, segments: read.segments, truncations: truncations.count)
        guard committed.segments.count == committed.manifest.entries.count else {
            return (committed.segments.map { LiveSegment($0, allLive: false) }, nil)
        }
        state.withLock { $0.committed = committed }
        return (live(committed), committed.manifest.position.offset)
    }

    private func live(_ committed: Committed) -> [LiveSegment] {
        zip(committed.segments, committed.manifest.entries).map { LiveSegment($0, live: $1.live) }
    }

    private func readFiles(
        for log: any Log
    ) async -> (manifest: SegmentManifest, segments: [CollectionSegment])? {
        var manifest: SegmentManifest?
        do throws(SegmentProblem) { manifest = try await readManifest() } catch {
            note(
                "\(path(Self.manifestName)): \(error)", of: nil,
                "; all segments are built from the log again")
        }
        if let found = manifest, let reason = await log.refusal(of: found.position) {
            note("the log \(reason)", of: nil, "; all segments are built from it again")
            manifest = nil
        }
        state.withLock { state in
            state.wasRead = true
            state.named = Set(manifest?.entries.map(\.number) ?? [])
            state.nextNumber = max(state.nextNumber, (manifest?.nextNumber ?? 1) + leap)
        }
        await removeGarbage(besides: manifest?.entries.map(\.number) ?? [])
        guard let manifest else { return nil }
        var segments: [CollectionSegment] = []
        for entry in manifest.entries {
            do throws(SegmentProblem) { segments.append(try await readSegment(entry)) } catch {
                note(
                    "\(error)", of: entry.number,
                    "; its \(entry.live.setCount) points are read from the log again")
            }
        }
        return (manifest, segments)
    }

    private func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Nil where there is none.
    private func readManifest() async throws(SegmentProblem) -> SegmentManifest? {
        let block: MemoryBlock?
        do throws(StorageError) {
            block = try await contents(
                try directory.appending(Self.manifestName), upTo: SegmentManifest.maximumBytes + 1)
        } catch { throw SegmentProblem("\(error)") }
        guard let block else { return nil }
        return try SegmentManifest(block)
    }

    /// The first so many bytes of a file; nil where there is none.
    private func contents(
        _ path: StoragePath, upTo maximum: Int
    ) async throws(StorageError) -> MemoryBlock? {
        let file: S.File
        do throws(StorageError) { file = try await storage.open(path, .read) } catch {
            if error.code == .notFound { return nil }
            throw error
        }
        let size = try await file.size()
        let bytes = try await file.read(at: 0, count: min(size, maximum))
        await file.close()
        return bytes
    }

    private func readSegment(
        _ entry: SegmentManifest.Entry
    ) async throws(SegmentProblem) -> CollectionSegment {
        guard entry.kind == format.kindNumber else {
            throw SegmentProblem(
                "expected an index of kind \(format.kindNumber), found \(entry.kind)")
        }
        let index: any VectorIndex
        let places: MemoryBlock
        do {
            let path = try vectorsPath(entry.number)
            let (bytes, checksum) = try await facts(of: path)
            guard bytes == entry.files.indexBytes, checksum == entry.files.indexChecksum else {
                throw SegmentProblem(
                    "\(path): expected the file of \(entry.files.indexBytes) bytes with the checksum "
                        + "\(entry.files.indexChecksum), found \(bytes) bytes and \(checksum)")
            }
            index = try await format.open(path, on: storage)
            guard
                let block = try await contents(
                    try placesPath(entry.number), upTo: entry.files.placesBytes + 1)
            else { throw SegmentProblem("\(try placesPath(entry.number)): no such file") }
            places = block
        } catch let error as SegmentProblem { throw error } catch {
            throw SegmentProblem("\(error)")
        }
        guard index.count == entry.live.count else {
            throw SegmentProblem("expected \(entry.live.count) points, found \(index.count)")
        }
        let segment = try await storage.offload { () throws(SegmentProblem) in
            let offsets = try SegmentPlaces.decode(
                places, number: entry.number, count: index.count)
            return try CollectionSegment(
                number: entry.number, index: index, offsets: offsets, files: entry.files)
        }
        guard segment.offsetRange == entry.offsets else {
            throw SegmentProblem(
                "expected the offsets \(entry.offsets), found \(segment.offsetRange)")
        }
        return segment
    }

    /// The length of an index's file, and the checksum of its first page.
    private func facts(
        of path: StoragePath
    ) async throws(StorageError) -> (bytes: Int, checksum: UInt32) {
        let file = try await storage.open(path, .read)
        let size = try await file.size()
        let page = try await file.read(at: 0, count: min(size, Self.pageBytes))
        await file.close()
        return (size, withExtendedLifetime(page) { crc32c(page.unsafeBytes) })
    }

    // MARK: Writing

    /// A number for a segment that is to be built.
    func takeNumber() -> Int64 {
        state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
    }

    /// What builds the index of a segment, and writes its file.
    func builder(
        expectedCount: Int, number: Int64
    ) async throws(DatabaseError) -> any SegmentBuilder {
        do {
            try await storage.createDirectory(directory)
            try await storage.syncDirectory(directory.parent)
            return try await format.builder(
                expectedCount: expectedCount, at: try vectorsPath(number), on: storage)
        } catch let error as VectorError {
            throw DatabaseError(error, "segment \(number) of collection \(name)")
        } catch {
            throw DatabaseError(.storage, "segment \(number) of collection \(name)", cause: error)
        }
    }

    /// A segment of an index whose file is written; durable when this returns. `offsets` has one for each
    /// vector.
    func add(
        _ index: any VectorIndex, offsets: [Int64], number: Int64
    ) async throws(DatabaseError) -> CollectionSegment {
        do {
            let (bytes, checksum) = try await facts(of: try vectorsPath(number))
            let (places, placesChecksum) = SegmentPlaces.encode(offsets, number: number)
            try await storage.replaceFile(try placesPath(number), with: places)
            let facts = SegmentFacts(
                indexBytes: bytes, indexChecksum: checksum, placesBytes: places.count,
                placesChecksum: placesChecksum)
            return try await storage.offload { () throws(SegmentProblem) in
                try CollectionSegment(number: number, index: index, offsets: offsets, files: facts)
            }
        } catch {
            throw DatabaseError(.storage, "segment \(number) of collection \(name)", cause: error)
        }
    }

    /// Makes these the segments, durably; returns the numbers of those that were named before and are no
    /// longer. `position` is behind what their bitmaps know of, all of
    /// which is durable in the log. After an error either these or those before are on disk, whose
    /// files are all there.
    func commit(
        _ segments: [LiveSegment], at position: LogPosition, truncations: Int
    ) async throws(DatabaseError) -> [Int64] {
        let manifest = SegmentManifest(
            position: position, nextNumber: state.withLock { $0.nextNumber },
            entries: segments.map { live in
                SegmentManifest.Entry(
                    number: live.segment.number, kind: format.kindNumber,
                    files: live.segment.files, live: live.live, offsets: live.segment.offsetRange)
            })
        guard let bytes = manifest.encode() else {
            throw DatabaseError(
                .storage,
                "collection \(name): its manifest would have more than "
                    + "\(SegmentManifest.maximumBytes) bytes")
        }
        do throws(StorageError) {
            try await storage.createDirectory(directory)
            try await storage.syncDirectory(directory.parent)
            try await storage.replaceFile(
                try directory.appending(Self.manifestName), with: bytes)
        } catch { throw DatabaseError(error, "the segments of collection \(name)") }
        let committed = Committed(
            manifest: manifest, segments: segments.map(\.segment), truncations: truncations)
        let named = Set(manifest.entries.map(\.number))
        return state.withLock { state in
            defer { state.named = named }
            state.committed = committed
            // A segment that was found damaged meanwhile may be named again.
            state.damage.removeAll { !($0.segment.map(named.contains) ?? false) }
            return state.named.subtracting(named).sorted()
        }
    }

    // MARK: Removing

    /// Removes the files of segments that the manifest does not name, also half-written ones. What cannot
    /// be removed is tried again when the collection is opened.
    func removeFiles(of numbers: [Int64]) async {
        for number in numbers {
            for path in [try? vectorsPath(number), try? placesPath(number)] {
                guard let path else { continue }
                try? await storage.remove(path)
                for suffix in Self.halfWritten {
                    guard let other = try? path.parent.appending(path.names.last! + suffix) else {
                        continue
                    }
                    try? await storage.remove(other)
                }
            }
        }
    }

    /// Removes what sealings that were cut short have left. Nothing depends on it: numbers are not used
    /// again, and the next opening tries again.
    private func removeGarbage(besides named: [Int64]) async {
        guard let entries = try? await storage.entries(of: directory) else { return }
        let named = Set(named)
        for entry in entries where entry.kind == .file {
            var name = entry.name[...]
            for suffix in Self.halfWritten where name.hasSuffix(suffix) {
                name = name.dropLast(suffix.count)
            }
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            let isOurs =
                name == Self.manifestName
                || parts.count == 2 && ["vectors", "places"].contains(parts[1])
                    && parts[0].count == 20 && Int64(parts[0]) != nil
            let isNamed =
                entry.name == Self.manifestName
                || entry.name.count == name.count && Int64(parts[0]).map(named.contains) == true
            if isOurs, !isNamed, let path = try? directory.appending(entry.name) {
                try? await storage.remove(path)
            }
            if isOurs, let number = Int64(parts[0]), number < SegmentManifest.numberLimit / 2 {
                state.withLock { $0.nextNumber = max($0.nextNumber, number + leap) }
            }
        }
    }

    private func vectorsPath(_ number: Int64) throws(StorageError) -> StoragePath {
        try directory.appending("\(Self.digits(number)).vectors")
    }

    private func placesPath(_ number: Int64) throws(StorageError) -> StoragePath {
        try directory.appending("\(Self.digits(number)).places")
    }

    private static func digits(_ number: Int64) -> String {
        let text = "\(number)"
        return String(repeating: "0", count: max(0, 20 - text.count)) + text
    }
}
