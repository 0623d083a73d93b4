package import CordwoodStorage

/// A small file of edits, each with a checksum, that is read whole and appended to: how a log keeps
/// the list of its segments, and a database that of its topics and collections.
///
/// Layout in `docs/file-formats.md`, "Edit log". An edit takes effect when ``append(_:)`` returns,
/// durable. Torn edits at the end never took effect and are cut when the file is opened, which
/// ``cutBytes`` reports; damage with sound edits behind it that were written later cannot come from
/// a crash, so the file is refused and left as it is.
///
/// Not thread-safe: one owner, which is serial by itself (an actor).
package final class EditLog<File: StorageFile> {
    /// The caller's own number for what the file describes; random for each file.
    package let identity: UInt64
    /// Bytes of a torn edit that opening the file cut away.
    package let cutBytes: Int
    private var file: File
    private let kind: EditLogKind
    private let path: StoragePath
    private var end: Int
    private var sequence: UInt32
    /// The file has space up to here; behind ``end`` it is zeros.
    private var reservedBytes: Int

    private init(
        file: File, kind: EditLogKind, path: StoragePath, identity: UInt64, end: Int,
        sequence: UInt32, cutBytes: Int, reservedBytes: Int
    ) {
        self.file = file
        self.kind = kind
        self.path = path
        self.identity = identity
        self.end = end
        self.sequence = sequence
        self.cutBytes = cutBytes
        self.reservedBytes = reservedBytes
    }

    /// Space that is kept behind the edits, so that a log on a full disk can still say that it gave
    /// segments up.
    package static var reserveBytes: Int { 4 << 10 }

    /// Writes a new file with some edits. Durable when it returns, with its directory entry.
    package static func create<S: Storage>(
        _ path: StoragePath, on storage: S, kind: EditLogKind, identity: UInt64, edits: [[UInt8]]
    ) async throws(LogError) -> EditLog where S.File == File {
        let slices = slices(edits, kind: kind, identity: identity)
        do throws(StorageError) {
            let end = slices.reduce(0) { $0 + $1.count }
            let (file, reserved) = try await write(slices, to: path, on: storage)
            return EditLog(
                file: file, kind: kind, path: path, identity: identity, end: end,
                sequence: UInt32(edits.count), cutBytes: 0, reservedBytes: reserved)
        } catch { throw LogError(error, while: "creating \(path)") }
    }

    /// Reads a file, hands each edit to `apply`, in order, and calls `validate`; where one of them
    /// throws, nothing was changed.
    ///
    /// Then writes the file anew: the system may hold edits that never reached the medium, because
    /// the process died before it synced them or a sync failed, and a sync now would not save those
    /// of the second kind. What is written is what was read, or `snapshot`'s edits when it gives
    /// any: the same content in fewer.
    package static func open<S: Storage>(
        _ path: StoragePath, on storage: S, kind: EditLogKind,
        apply: ([UInt8]) throws(LogError) -> Void,
        validate: () async throws(LogError) -> Void = {},
        snapshot: () -> [[UInt8]]? = { nil }
    ) async throws(LogError) -> EditLog where S.File == File {
        let content = try await read(path, on: storage)
        let identity = try EditFrame.checkHeader(content.unsafeBytes, kind: kind, path: path)
        var sequence: UInt32 = 0
        var end = EditFrame.headerByteCount
        while let edit = EditFrame.decode(content.unsafeBytes, at: end, sequence: sequence) {
            try apply(edit.payload)
            end = edit.end
            sequence += 1
        }
        if end < content.count,
            EditFrame.mayHaveLaterGroup(content.unsafeBytes, behind: end, sequence: sequence)
        {
            throw LogError(
                .damaged,
                "\(path): edit \(sequence) at byte \(end) fails its checksum and later ones do "
                    + "not, so this is damage, not a torn write; nothing was changed")
        }
        try await validate()
        let rest = content.unsafeBytes[end...]
        let cutBytes = rest.lastIndex { $0 != 0 }.map { $0 + 1 - end } ?? 0
        // The header anew: what is appended from now on has the latest version.
        let header = MemorySlice(EditFrame.header(kind: kind, identity: identity))
        var slices = [header, MemorySlice(content, header.count..<end)]
        let edits = snapshot()
        if let edits { slices = self.slices(edits, kind: kind, identity: identity) }
        do throws(StorageError) {
            let (file, reserved) = try await write(slices, to: path, on: storage)
            if let edits { sequence = UInt32(edits.count) }
            return EditLog(
                file: file, kind: kind, path: path, identity: identity,
                end: slices.reduce(0) { $0 + $1.count }, sequence: sequence, cutBytes: cutBytes,
                reservedBytes: reserved)
        } catch {
            guard error.isFullDisk else { throw LogError(error, while: "writing \(path) anew") }
        }
        do throws(StorageError) {
            let file = try await rewrite(path, header, content, end: end, on: storage)
            return EditLog(
                file: file, kind: kind, path: path, identity: identity, end: end,
                sequence: sequence, cutBytes: cutBytes, reservedBytes: content.count)
        } catch { throw LogError(error, while: "writing \(path) anew") }
    }

    /// Writes a file's own content over it where there is no space for a second file: blocks that
    /// it has already. Each sector gets the bytes that were read from it, so that a crash in between
    /// leaves the same edits or fewer of those that were never synced.
    private static func rewrite<S: Storage>(
        _ path: StoragePath, _ header: MemorySlice, _ content: MemoryBlock, end: Int,
        on storage: S
    ) async throws(StorageError) -> File where S.File == File {
        do throws(StorageError) {
            try await storage.remove(try staged(path))
        } catch {
            if error.code != .notFound { throw error }
        }
        var zeros = ByteWriter(count: content.count - end)
        zeros.zeros(content.count - end)
        let file = try await storage.open(path, .readWrite)
        let slices = [
            header, MemorySlice(content, header.count..<end), MemorySlice(zeros.finish()),
        ]
        try await file.write([FileWrite(at: 0, slices.filter { $0.count > 0 })], thenSync: true)
        return file
    }

    private static func staged(_ path: StoragePath) throws(StorageError) -> StoragePath {
        try path.parent.appending(path.names.last! + ".new")
    }

    private static func slices(
        _ edits: [[UInt8]], kind: EditLogKind, identity: UInt64
    ) -> [MemorySlice] {
        [MemorySlice(EditFrame.header(kind: kind, identity: identity))]
            + edits.enumerated().map {
                MemorySlice(EditFrame.encode($0.element, sequence: UInt32($0.offset)))
            }
    }

    private static func read<S: Storage>(
        _ path: StoragePath, on storage: S
    ) async throws(LogError) -> MemoryBlock where S.File == File {
        let size: Int
        let content: MemoryBlock
        do throws(StorageError) {
            let file = try await storage.open(path, .read)
            size = try await file.size()
            content = try await file.read(at: 0, count: min(size, EditFrame.maximumFileBytes))
            await file.close()
        } catch { throw LogError(error, while: "opening \(path)") }
        guard size <= EditFrame.maximumFileBytes else {
            throw LogError(
                .unsupportedFormat,
                "\(path): expected at most \(EditFrame.maximumFileBytes) bytes, found \(size)")
        }
        return content
    }

    /// Writes a whole file under a temporary name first, so that the final name never shows one
    /// that is half there.
    private static func write<S: Storage>(
        _ slices: [MemorySlice], to path: StoragePath, on storage: S
    ) async throws(StorageError) -> (File, reservedBytes: Int) where S.File == File {
        let staged = try staged(path)
        let file = try await storage.open(staged, .openOrCreate)
        try await file.truncate(to: 0)
        var size = slices.reduce(0) { $0 + $1.count }
        try await file.write([FileWrite(at: 0, slices)], thenSync: false)
        do throws(StorageError) {
            try await file.preallocate(to: size + reserveBytes)
            size += reserveBytes
        } catch {
            // Without a reserve it works as well, until the disk is full.
            if !error.isFullDisk { throw error }
        }
        try await file.sync()
        await file.close()
        try await storage.rename(staged, to: path)
        try await storage.syncDirectory(path.parent)
        return (try await storage.open(path, .readWrite), size)
    }

    /// Appends edits with one write and one sync; they take effect together or, after a crash, as a
    /// prefix.
    ///
    /// Where there is no space for them (``StorageError/Code/noSpace`` of a write), none took
    /// effect and the file is as it was. After any other error its end is unknown: the owner must
    /// stop and reopen.
    package func append(_ edits: [[UInt8]]) async throws(StorageError) {
        var slices: [MemorySlice] = []
        for edit in edits {
            slices.append(
                MemorySlice(
                    EditFrame.encode(
                        edit, sequence: sequence + UInt32(slices.count), place: slices.count)))
        }
        let write = FileWrite(at: end, slices)
        try await reserve(write.count)
        do throws(StorageError) {
            try await file.write([write], thenSync: true)
        } catch {
            if error.isFullDisk { try await cut() }
            throw error
        }
        end += write.count
        sequence += UInt32(edits.count)
    }

    /// Keeps ``reserveBytes`` behind what is about to be written, and where there is no space for
    /// that, uses them.
    private func reserve(_ byteCount: Int) async throws(StorageError) {
        let wanted = end + byteCount + Self.reserveBytes
        guard reservedBytes < end + byteCount + Self.reserveBytes / 2 else { return }
        do throws(StorageError) {
            try await file.preallocate(to: wanted)
            reservedBytes = wanted
        } catch {
            if !error.isFullDisk || end + byteCount > reservedBytes { throw error }
        }
    }

    /// Takes back the bytes of a write that found no space, durably.
    private func cut() async throws(StorageError) {
        do throws(StorageError) {
            try await file.truncate(to: end)
            reservedBytes = end
            try await file.sync()
        } catch {
            // Not to be taken for a full disk, after which the owner would go on.
            throw StorageError(
                .failed, operation: error.operation, path: error.path, errno: error.errno,
                detail: "taking back an edit: \(error)")
        }
    }

    /// The bytes of the edits, with the header.
    package var byteCount: Int { end }

    /// Puts other edits, which say the same, in the place of those so far: one rename, durable when
    /// it returns. A full disk changes nothing. After any other error nobody knows which of the two
    /// files has the name: the owner must stop and reopen.
    package func rewrite<S: Storage>(
        as edits: [[UInt8]], on storage: S
    ) async throws(StorageError) where S.File == File {
        let slices = Self.slices(edits, kind: kind, identity: identity)
        let old = file
        (file, reservedBytes) = try await Self.write(slices, to: path, on: storage)
        end = slices.reduce(0) { $0 + $1.count }
        sequence = UInt32(edits.count)
        await old.close()
    }

    package func close() async { await file.close() }
}

/// What an edit log describes; files of different kinds refuse each other.
package enum EditLogKind: UInt32, Sendable {
    case segments = 1
    case catalog = 2
}
