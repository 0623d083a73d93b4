internal import CordwoodStorage

/// Writes the file of an index: its pages, then the sections that are held in memory, and the header
/// last.
struct DiskFileWriter<S: Storage> {
    static var usualChunkBytes: Int { 8 << 20 }

    let path: StoragePath
    let storage: S
    /// Bytes that are written at a time.
    var chunkBytes = usualChunkBytes

    /// Writes an index of nothing. Throws ``VectorError/Code/storage``.
    func write(empty description: DiskDescription) async throws(VectorError) {
        try await staged { file throws(VectorError) in
            try await writeSections(
                [("meta", { description.encoded })], after: [], at: IndexHeader.pageBytes, to: file)
        }
    }

    /// Writes an index, and measures what its searches find before it is given its name. When it
    /// returns, the file and its name are durable.
    func write(_ build: DiskBuild, threads: Int) async throws(VectorError) {
        try await staged { file throws(VectorError) in
            try await writePages(of: build, to: file)
            try build.check()
            let calibration = try await measured(build, file, threads)
            let page = IndexHeader.Entry(
                tag: "page", checksum: 0, position: IndexHeader.pageBytes,
                byteCount: build.layout.byteCount, isCheckedByPage: true)
            try await writeSections(
                build.sections(calibration), after: [page],
                at: IndexHeader.pageBytes + build.layout.byteCount, to: file)
        }
    }

    private func writePages(of build: DiskBuild, to file: S.File) async throws(VectorError) {
        let layout = build.layout
        let chunk = max(1, chunkBytes / layout.blockBytes)
        for first in stride(from: 0, to: layout.blockCount, by: chunk) {
            let blocks = first..<min(first + chunk, layout.blockCount)
            let pages = try await storage.offload { () throws(VectorError) in
                try build.pages(ofBlocks: blocks)
            }
            try await write(
                pages, at: IndexHeader.pageBytes + first * layout.blockBytes, to: file)
        }
    }

    private func measured(
        _ build: DiskBuild, _ file: S.File, _ threads: Int
    ) async throws(VectorError) -> RecallCalibration {
        let reads = try await VectorError.of("writing \(path)") { () throws(StorageError) in
            // Reads past the system's cache find what was synced.
            try await file.sync()
            return try await file.randomReads()
        }
        let parts = build.parts(reads: reads)
        return try await storage.offload { () throws(VectorError) in
            let index = DiskIndex(
                dimensions: build.description.dimensions, metric: build.description.metric,
                configuration: build.description.configuration, parts: parts,
                calibration: RecallCalibration(points: []), file: file)
            return try DiskRecallProbe(index: index, build: build, threads: threads).run()
        }
    }

    private func writeSections(
        _ sections: [DiskSection], after entries: [IndexHeader.Entry],
        at position: Int, to file: S.File
    ) async throws(VectorError) {
        var (entries, position) = (entries, position)
        for section in sections {
            let bytes = await storage.offload { section.bytes() }
            entries.append(
                .init(
                    tag: section.tag,
                    checksum: await storage.offload { indexChecksum(bytes.unsafeBytes) },
                    position: bytes.count > 0 ? position : IndexHeader.pageBytes,
                    byteCount: bytes.count))
            try await write(bytes, at: position, to: file)
            position = IndexHeader.onPage(position + bytes.count)
        }
        let header = IndexHeader(kind: .disk, entries: entries)
        try await VectorError.of("writing \(path)") { () throws(StorageError) in
            try await file.write([FileWrite(at: 0, [header.encoded])], thenSync: true)
        }
    }

    private func write(
        _ bytes: MemorySlice, at position: Int, to file: S.File
    ) async throws(VectorError) {
        try await VectorError.of("writing \(path)") { () throws(StorageError) in
            for start in stride(from: 0, to: bytes.count, by: chunkBytes) {
                let end = min(start + chunkBytes, bytes.count)
                let first = bytes.range.lowerBound
                let chunk = MemorySlice(bytes.block, first + start..<first + end)
                try await file.write(
                    [FileWrite(at: position + start, [chunk])], thenSync: false,
                    inBackground: true)
            }
        }
    }

    /// Copies a file that is whole, byte for byte.
    func copy(_ source: any StorageFile) async throws(VectorError) {
        try await staged { file throws(VectorError) in
            try await VectorError.of("writing \(path)") { () throws(StorageError) in
                let size = try await source.size()
                for position in stride(from: 0, to: size, by: chunkBytes) {
                    let chunk = try await source.read(
                        at: position, count: min(chunkBytes, size - position))
                    try await file.write(
                        [FileWrite(at: position, [MemorySlice(chunk)])], thenSync: false,
                        inBackground: true)
                }
                try await file.sync()
            }
        }
    }

    /// Lets `body` write and sync a file under another name, and gives it its own then.
    private func staged(
        _ body: (S.File) async throws(VectorError) -> Void
    ) async throws(VectorError) {
        let (staged, file) = try await VectorError.of("writing \(path)") {
            () throws(StorageError) in
            let staged = try BuildFile.staged.path(beside: path)
            return (staged, try await storage.open(staged, .openOrCreate))
        }
        do throws(VectorError) {
            try await VectorError.of("writing \(path)") { () throws(StorageError) in
                try await file.truncate(to: 0)
            }
            try await body(file)
        } catch {
            await file.close()
            throw error
        }
        await file.close()
        try await VectorError.of("writing \(path)") { () throws(StorageError) in
            try await storage.rename(staged, to: path)
            try await storage.syncDirectory(path.parent)
        }
    }
}

/// A section that is held in memory, made when it is written: no two are in memory twice at once.
private typealias DiskSection = (tag: String, bytes: @Sendable () -> MemorySlice)

extension DiskBuild {
    fileprivate func sections(_ calibration: RecallCalibration) -> [DiskSection] {
        var sections: [DiskSection] = [
            ("meta", { [description] in description.encoded }),
            ("prod", { [products] in products.encoded }), ("code", { [codes] in codes }),
            ("navq", { [navigation] in navigation.rows.quantizer!.encoded }),
            ("nave", { [navigation] in navigation.graph.bytes }),
            ("navr", { [navigation] in navigation.rows.bytes }),
            ("navn", { [navigation] in navigation.nodes }), ("reca", { calibration.encoded }),
            ("ids ", { self.orderedIDs }),
        ]
        if places.hasEqualVectors { sections.append(("strt", { self.encodedStarts! })) }
        return sections
    }

    /// What is searched before the file is whole.
    fileprivate func parts(reads: any RandomReads) -> DiskParts {
        DiskParts(
            layout: layout, products: products, codes: codes, navigation: navigation,
            ids: orderedIDs, starts: encodedStarts, reads: reads,
            pagePosition: IndexHeader.pageBytes)
    }
}
