package import CordwoodStorage

/// Looks at a log from its files alone: read-only, without a lock, whether or not another process
/// has it open, and whatever state the files are in.
///
/// Damage is one of the things that it finds, with place and reason, and it goes on behind it.
/// Every length is held against a cap and the bytes that are there; a window of a segment, its
/// indexes and the producers of one snapshot are the most that it holds in memory. O(bytes of the
/// log).
package struct LogInspector<S: Storage> {
    let storage: S
    let directory: StoragePath
    let options: InspectionOptions
    let emit: (InspectionItem) throws -> Void
    /// What was counted, and the damage.
    package private(set) var report = VerificationReport()

    /// The log's random number, from the manifest or else from the first segment that states it.
    var logID: UInt64?
    /// No batch before this offset has a producer id; nil when the manifest knows of none.
    private(set) var producersSince: Int64?
    /// Whether the manifest was read whole.
    private(set) var isManifestSound = false
    /// Offsets of the producer snapshots that nobody has looked at yet, in order.
    var snapshots: [Int64] = []
    /// What the batches so far say of producers; nil before the first segment.
    var producers: ProducerWalk?
    /// Where the roll after the segment before made a producer snapshot durable, if it did.
    var rolledTo: Int64?

    /// `emit` gets each thing as it is found, in the order of the files; what it throws ends the
    /// inspection.
    package init(
        _ directory: StoragePath, on storage: S, _ options: InspectionOptions,
        emit: @escaping (InspectionItem) throws -> Void
    ) {
        self.storage = storage
        self.directory = directory
        self.options = options
        self.emit = emit
    }

    /// A segment as the manifest lists it.
    struct Listed {
        var id: SegmentID
        /// Nil for the active segment.
        var seal: SegmentInfo?
        var gaps: [Gap] = []
        /// The epochs that its batches must carry.
        var epochs = EpochCache()
    }

    /// Inspects the whole log. Throws ``LogError/Code/storage`` where a file cannot be read, and
    /// what `emit` throws.
    package mutating func run() async throws {
        let names = try await files()
        let files = names.compactMap(SegmentFiles.id(ofLogNamed:)).sorted()
        snapshots = names.compactMap(SegmentFiles.offset(ofSnapshotNamed:)).sorted()
        guard names.contains(Self.manifestName) else {
            try damage(directory, at: nil, "expected a manifest, found none")
            for id in files where isWanted(id) { try await inspectUnlisted(id) }
            return try await finishProducers()
        }
        let manifest = try await inspectManifest()
        var listed = manifest.sealed.map {
            Listed(id: $0.id, seal: $0, gaps: $0.gaps, epochs: manifest.epochs)
        }
        if let active = manifest.active {
            listed.append(Listed(id: active.id, gaps: active.gaps, epochs: manifest.epochs))
        }
        for segment in listed where isWanted(segment.id) {
            try Task.checkCancellation()
            try await inspect(segment)
        }
        try await finishProducers()
        let known = Set(listed.map(\.id))
        for id in files where !known.contains(id) && isWanted(id) {
            if manifest.garbage.contains(id) {
                try note(
                    SegmentFiles.log(id, in: directory),
                    "the manifest has given it up; opening removes it")
            } else {
                try await inspectUnlisted(id)
            }
        }
    }

    private mutating func finishProducers() async throws {
        try await inspectRemainingSnapshots()
        try showProducers()
    }

    /// Whether recovery may read a snapshot: only that of a log without producers does not.
    var readsSnapshots: Bool { producersSince != nil || !isManifestSound }

    private func isWanted(_ id: SegmentID) -> Bool {
        (options.baseOffset ?? id.baseOffset) == id.baseOffset
    }

    private func files() async throws(LogError) -> [String] {
        do throws(StorageError) {
            return try await storage.entries(of: directory).map(\.name)
        } catch { throw LogError(error, while: "listing \(directory)") }
    }

    // MARK: The manifest

    private static var manifestName: String { "manifest" }

    /// The segments as far as sound edits tell.
    private mutating func inspectManifest() async throws -> Manifest {
        let path = try directory.appending(Self.manifestName)
        var manifest = Manifest()
        let (content, size) = try await read(path, maximumBytes: EditFrame.maximumFileBytes)
        let edits = withExtendedLifetime(content) {
            EditLogInspection(content.unsafeBytes, kind: .segments, path: path)
        }
        try show(
            .init(
                .manifest, path, at: 0,
                [
                    "logID": edits.identity.map { .text(hexadecimal($0)) } ?? .text("unknown"),
                    "edits": .count(edits.edits.count), "bytes": .count(size),
                ]))
        for (position, problem) in edits.damage { try damage(path, at: position, problem) }
        for edit in edits.edits {
            guard let change = SegmentEdit(edit.payload) else {
                try damage(
                    path, at: edit.position,
                    "edit \(edit.sequence) is of a kind that this version does not know")
                continue
            }
            try show(.init(.edit, path, at: edit.position, sequence: edit.sequence, change))
            do throws(LogError) { try manifest.apply(change) } catch {
                try damage(path, at: edit.position, error.message)
            }
        }
        if edits.tornBytes > 0 {
            try note(
                path, "the last \(edits.tornBytes) bytes are no whole edit; opening cuts them")
        }
        logID = edits.identity
        producersSince = manifest.producersSince
        isManifestSound = report.isSound
        return manifest
    }

    /// Whether the manifest names a segment now: a log that is open may have given it up since.
    private func isListed(_ id: SegmentID) async throws -> Bool {
        let path = try directory.appending(Self.manifestName)
        guard
            case .bytes(let block) = try await content(
                of: path, maximumBytes: EditFrame.maximumFileBytes)
        else { return true }
        let edits = withExtendedLifetime(block) {
            EditLogInspection(block.unsafeBytes, kind: .segments, path: path).edits
        }
        var manifest = Manifest()
        for edit in edits {
            // What contradicts the manifest was told when it was looked at.
            if let change = SegmentEdit(edit.payload) { try? manifest.apply(change) }
        }
        return manifest.active?.id == id || manifest.sealed.contains { $0.id == id }
    }

    // MARK: Telling

    /// Tells of the structure, where that is wanted.
    func show(_ item: InspectionItem) throws { if options.showsStructure { try emit(item) } }

    func note(_ path: StoragePath, at position: Int? = nil, _ text: String) throws {
        try emit(.init(.note, path, at: position, ["note": .text(text)]))
    }

    mutating func damage(
        _ path: StoragePath, at position: Int?, offsets: Range<Int64> = 0..<0, _ problem: String
    ) throws {
        let place = position.map { "at byte \($0): " } ?? ""
        report.damage.append(
            Damage(path: path.description, offsets: offsets, problem: place + problem))
        var item = InspectionItem(.damage, path, at: position)
        if !offsets.isEmpty {
            item.fields = [
                ("firstOffset", .integer(offsets.lowerBound)),
                ("lastOffset", .integer(offsets.upperBound - 1)),
            ]
        }
        item.fields.append(("problem", .text(problem)))
        try emit(item)
    }

    /// A file that belongs to a segment is not there: damage, unless the segment is gone meanwhile.
    mutating func missing(
        _ path: StoragePath, of id: SegmentID?, offsets: Range<Int64> = 0..<0, _ problem: String
    ) async throws {
        if let id, try await !isListed(id) {
            return try note(path, "the log gave its segment up while it was looked at")
        }
        try damage(path, at: nil, offsets: offsets, problem)
    }

    mutating func countSegment() { report.segments += 1 }

    mutating func count(_ header: BatchHeader) {
        report.batches += 1
        report.records += Int(header.recordCount)
        report.bytes += header.totalByteCount
    }

    // MARK: Reading

    /// A whole small file, or its front, and its size.
    func read(
        _ path: StoragePath, maximumBytes: Int
    ) async throws(LogError) -> (MemoryBlock, size: Int) {
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            let size = try await file.size()
            let content = try await file.read(at: 0, count: min(size, maximumBytes))
            await file.close()
            return (content, size)
        } catch { throw LogError(error, while: "reading \(path)") }
    }

    /// What a small file holds, or why not.
    enum Content {
        case missing
        case unreadable(String)
        case bytes(MemoryBlock)
    }

    /// All of a small file that can be made anew.
    func content(
        of path: StoragePath, maximumBytes: Int
    ) async throws(LogError) -> Content {
        let file: S.File
        do throws(StorageError) { file = try await storage.open(path, .read) } catch {
            if error.code == .notFound { return .missing }
            if error.code == .wrongKind { return .unreadable("\(error)") }
            throw LogError(error, while: "opening \(path)")
        }
        let content: Content
        do throws(StorageError) {
            let size = try await file.size()
            content =
                size > maximumBytes
                ? .unreadable("expected at most \(maximumBytes) bytes, found \(size)")
                : .bytes(try await file.read(at: 0, count: size))
        } catch { content = .unreadable("\(error)") }
        await file.close()
        return content
    }

    func size(of file: S.File) async throws(LogError) -> Int {
        do throws(StorageError) { return try await file.size() } catch {
            throw LogError(error, while: "looking at \(file.path)")
        }
    }

    func window(
        of file: S.File, at position: Int, count: Int
    ) async throws(LogError) -> MemoryBlock {
        do throws(StorageError) { return try await file.read(at: position, count: count) } catch {
            throw LogError(error, while: "reading \(file.path) at byte \(position)")
        }
    }
}

/// A number that means nothing but itself.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
}

extension InspectionItem {
    fileprivate init(
        _ kind: Kind, _ path: StoragePath, at position: Int, sequence: UInt32, _ edit: SegmentEdit
    ) {
        self.init(kind, path, at: position, ["sequence": .integer(Int64(sequence))])
        fields += edit.fields
    }
}
