internal import CCordwoodKernels
public import CordwoodStorage

extension SealedFlatIndex {
    private static let metaBytes = 16

    /// Writes the index to a file; `docs/file-formats.md` has its bytes. The same index gives the same
    /// bytes.
    ///
    /// Returns when the file and its name are durable. Throws ``VectorError/Code/storage``: a file that
    /// had the name is then still there, or the new one is.
    public func save<S: Storage>(
        to path: StoragePath, on storage: S
    ) async throws(VectorError) {
        var sections = [IndexFile.Section(tag: "meta", bytes: meta)]
        if let parts {
            if let codes = parts.codes {
                sections.append(.init(tag: "quan", bytes: codes.quantizer.encoded))
                sections.append(.init(tag: "code", bytes: codes.codes))
                if let terms = codes.terms { sections.append(.init(tag: "term", bytes: terms)) }
                sections.append(.init(tag: "erro", bytes: codes.errors))
                sections.append(.init(tag: "boun", bytes: codes.bounds))
            }
            sections.append(.init(tag: "rows", bytes: parts.rows.bytes))
            sections.append(.init(tag: "ids ", bytes: parts.ids))
        }
        try await IndexFile(kind: .flat, sections: sections).write(to: path, on: storage)
    }

    /// Opens the file of an index, and believes nothing of it before it is checked: every byte against
    /// its checksum, every number against what it counts. O(bytes), on the storage's threads.
    ///
    /// Throws ``VectorError/Code/storage`` when the file cannot be read,
    /// ``VectorError/Code/unknownFormat`` when it is of another kind or version, and
    /// ``VectorError/Code/damaged`` when its bytes are not those that were written.
    public static func open<S: Storage>(
        _ path: StoragePath, on storage: S, residency: IndexResidency = .memory
    ) async throws(VectorError) -> SealedFlatIndex {
        let file = try await IndexFile.open(path, .flat, on: storage, residency: residency)
        do throws(VectorError) {
            return try await storage.offload { () throws(VectorError) in
                try SealedFlatIndex(checking: file)
            }
        } catch { throw VectorError(error.code, "\(path): \(error.detail)") }
    }

    private var meta: MemorySlice {
        var writer = ByteWriter(count: Self.metaBytes)
        writer.littleEndian(UInt32(dimensions))
        writer.littleEndian(metric.fileNumber)
        writer.littleEndian(configuration.quantization.fileNumber)
        writer.littleEndian(configuration.reranking.fileNumber)
        writer.littleEndian(UInt8(0))
        writer.littleEndian(UInt64(count))
        return MemorySlice(writer.block)
    }

    /// An index of the sections of a file whose checksums hold.
    convenience init(checking file: IndexFile) throws(VectorError) {
        guard let meta = file["meta"], meta.count == Self.metaBytes else {
            throw VectorError(
                .damaged,
                "section meta: expected \(Self.metaBytes) bytes, found \(file["meta"]?.count ?? 0)")
        }
        var reader = ByteReader(meta.unsafeBytes)
        guard let dimensions = reader.littleEndian(UInt32.self),
            let metric = reader.littleEndian(UInt8.self).flatMap(Metric.init(fileNumber:)),
            let quantization = reader.littleEndian(UInt8.self).flatMap(
                Quantization.init(fileNumber:)),
            let reranking = reader.littleEndian(UInt8.self).flatMap(Reranking.init(fileNumber:)),
            reader.skip(1) != nil, let count = reader.littleEndian(UInt64.self),
            count <= UInt64(Self.maximumCount)
        else { throw VectorError(.damaged, "the section meta makes no sense") }
        let configuration = SealedFlatConfiguration(
            quantization: quantization, reranking: reranking)
        do throws(VectorError) {
            try FlatIndex.validate(dimensions: Int(dimensions))
            try configuration.validate()
        } catch { throw VectorError(.damaged, "section meta: \(error.detail)") }
        self.init(
            dimensions: Int(dimensions), metric: metric, configuration: configuration,
            parts: count == 0
                ? nil
                : try Self.parts(
                    of: file, Int(dimensions), metric, configuration, count: Int(count)))
    }

    /// The other sections, each as long as it has to be.
    private static func parts(
        of file: IndexFile, _ dimensions: Int, _ metric: Metric,
        _ configuration: SealedFlatConfiguration, count: Int
    ) throws(VectorError) -> SealedFlatParts {
        var codes: SealedFlatCodes?
        if let bits = configuration.codeBits {
            guard
                let quantizer = ScalarQuantizer(
                    bits: bits, metric: metric, dimensions: dimensions,
                    encoded: try file.section("quan", 8 * dimensions))
            else { throw VectorError(.damaged, "section quan: a number that is not finite") }
            let sizes = SealedFlatCodes.Sizes(quantizer, rows: count)
            let bounds = try file.section("boun", sizes.bounds)
            try check(bounds)
            codes = SealedFlatCodes(
                quantizer: quantizer, codes: try file.section("code", sizes.codes),
                terms: metric == .l2 ? try file.section("term", sizes.terms) : nil,
                errors: try file.section("erro", sizes.errors), bounds: bounds)
        }
        let rowBytes = configuration.reranking.rowBytes(paddedDimensions(dimensions))
        return SealedFlatParts(
            codes: codes,
            rows: ExactRows(
                bytes: try file.section("rows", count * rowBytes),
                reranking: configuration.reranking),
            ids: try file.section("ids ", 8 * count))
    }

    /// Throws unless every bound is zero or more.
    private static func check(_ bounds: MemorySlice) throws(VectorError) {
        for position in stride(from: 0, to: bounds.count, by: 4) {
            let bound = Float(bitPattern: bounds.unsafeBytes.number(position, UInt32.self))
            guard bound >= 0 else {
                throw VectorError(.damaged, "section boun: expected 0 or more, found \(bound)")
            }
        }
    }
}
