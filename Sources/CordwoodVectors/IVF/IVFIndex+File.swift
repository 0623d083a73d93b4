internal import CCordwoodKernels
public import CordwoodStorage

extension IVFIndex {
    /// Writes the index to a file; `docs/file-formats.md` has its bytes. The same index gives the same
    /// bytes.
    ///
    /// Returns when the file and its name are durable. Throws ``VectorError/Code/storage``: a file that
    /// had the name is then still there, or the new one is.
    public func save<S: Storage>(
        to path: StoragePath, on storage: S
    ) async throws(VectorError) {
        var sections = [IndexFile.Section(tag: "meta", bytes: IVFDescription(self).encoded)]
        if let parts {
            sections.append(.init(tag: "cent", bytes: parts.lists.centroids))
            sections.append(.init(tag: "strt", bytes: parts.lists.starts))
            if let codes = parts.codes { sections += codes.sections }
            if let exact = parts.exact { sections.append(.init(tag: "exac", bytes: exact)) }
            sections.append(.init(tag: "ids ", bytes: parts.ids))
            sections.append(.init(tag: "reca", bytes: calibration.encoded))
        }
        try await IndexFile(kind: .ivf, sections: sections).write(to: path, on: storage)
    }

    /// Opens the file of an index, and believes nothing of it before it is checked: every byte against
    /// its checksum, every number against what it counts. O(bytes), on the storage's threads.
    ///
    /// Throws ``VectorError/Code/storage`` when the file cannot be read,
    /// ``VectorError/Code/unknownFormat`` when it is of another kind or version, and
    /// ``VectorError/Code/damaged`` when its bytes are not those that were written.
    public static func open<S: Storage>(
        _ path: StoragePath, on storage: S, residency: IndexResidency = .memory
    ) async throws(VectorError) -> IVFIndex {
        let file = try await IndexFile.open(path, .ivf, on: storage, residency: residency)
        do throws(VectorError) {
            return try await storage.offload { () throws(VectorError) in
                try IVFIndex(checking: file)
            }
        } catch { throw VectorError(error.code, "\(path): \(error.detail)") }
    }

    /// An index of the sections of a file whose checksums hold.
    convenience init(checking file: IndexFile) throws(VectorError) {
        guard let meta = file["meta"] else {
            throw VectorError(.damaged, "the section meta is missing")
        }
        let description = try IVFDescription(meta)
        let isEmpty = description.count == 0
        self.init(
            dimensions: description.dimensions, metric: description.metric,
            configuration: description.configuration,
            parts: isEmpty ? nil : try description.parts(of: file),
            calibration: isEmpty
                ? RecallCalibration(points: []) : try RecallCalibration(checking: file["reca"]))
    }
}

extension IVFCodes {
    fileprivate var sections: [IndexFile.Section] {
        switch quantizer {
        case .scalar(let quantizer): sections(quantizer.encoded)
        case .product(let quantizer): sections(quantizer.encoded)
        case .rabitq(let codes): codes.sections
        }
    }

    private func sections(_ quantizer: MemorySlice) -> [IndexFile.Section] {
        [.init(tag: "quan", bytes: quantizer), .init(tag: "code", bytes: bytes)]
    }
}

/// The section `meta` of an index's file.
struct IVFDescription {
    private static let byteCount = 48

    var dimensions: Int
    var metric: Metric
    var configuration: IVFConfiguration
    var count: Int

    private var lists: Int { configuration.lists ?? 0 }

    init(_ index: IVFIndex) {
        dimensions = index.dimensions
        metric = index.metric
        configuration = index.configuration
        count = index.count
    }

    // MARK: Bytes

    var encoded: MemorySlice {
        var writer = ByteWriter(count: Self.byteCount)
        writer.littleEndian(UInt32(dimensions))
        writer.littleEndian(metric.fileNumber)
        writer.littleEndian(configuration.quantization.fileNumber)
        writer.littleEndian(UInt8(configuration.keepsVectors ? 1 : 0))
        writer.littleEndian(UInt8(configuration.rabitqBits ?? 0))
        writer.littleEndian(UInt32(lists))
        writer.littleEndian(UInt32(configuration.groupWidth ?? 0))
        writer.littleEndian(configuration.seed)
        writer.littleEndian(UInt64(count))
        writer.zeros(Self.byteCount - writer.position)
        return MemorySlice(writer.block)
    }

    init(_ bytes: MemorySlice) throws(VectorError) {
        var reader = ByteReader(bytes.unsafeBytes)
        guard bytes.count == Self.byteCount, let dimensions = reader.littleEndian(UInt32.self),
            let metric = reader.littleEndian(UInt8.self).flatMap(Metric.init(fileNumber:)),
            let quantization = reader.littleEndian(UInt8.self).flatMap(
                Quantization.init(fileNumber:)),
            let keeps = reader.littleEndian(UInt8.self), keeps <= 1,
            let rabitqBits = reader.littleEndian(UInt8.self),
            let lists = reader.littleEndian(UInt32.self),
            let groupWidth = reader.littleEndian(UInt32.self),
            let seed = reader.littleEndian(UInt64.self),
            let count = reader.littleEndian(UInt64.self)
        else { throw VectorError(.damaged, "the section meta makes no sense") }
        self.dimensions = Int(dimensions)
        self.metric = metric
        configuration = IVFConfiguration(
            lists: Int(lists), quantization: quantization,
            groupWidth: groupWidth == 0 ? nil : Int(groupWidth),
            rabitqBits: rabitqBits == 0 ? nil : Int(rabitqBits),
            keepsVectors: keeps == 1, seed: seed)
        do throws(VectorError) {
            try FlatIndex.validate(dimensions: self.dimensions)
            try configuration.validate()
            guard quantization != .auto else {
                throw VectorError(.damaged, "a quantization that no index is built with")
            }
        } catch { throw VectorError(.damaged, "section meta: \(error.detail)") }
        guard count <= UInt64(IVFIndex.maximumCount), UInt64(lists) <= max(count, 1) else {
            throw VectorError(.damaged, "section meta: \(lists) lists of \(count) vectors")
        }
        self.count = Int(count)
    }

    // MARK: Sections

    /// The other sections, each as long as it has to be.
    func parts(of file: IndexFile) throws(VectorError) -> IVFParts {
        let starts = try section("strt", 4 * (lists + 1), of: file)
        try check(starts)
        let centroids = try section("cent", lists * dimensions * 4, of: file)
        let floats = lists * dimensions
        guard
            cordwood_f32_first_not_finite(centroids.pointer(to: Float.self), floats) == floats
        else { throw VectorError(.damaged, "section cent: a number that is not finite") }
        let list = IVFLists(
            centroids: centroids, starts: starts, dimensions: dimensions, metric: metric)
        return IVFParts(
            dimensions: dimensions, lists: list, codes: try codes(of: file, list),
            exact: configuration.hasExactRows
                ? try section("exac", count * dimensions * 4, of: file) : nil,
            ids: try section("ids ", 8 * count, of: file))
    }

    private func codes(of file: IndexFile, _ lists: IVFLists) throws(VectorError) -> IVFCodes? {
        switch configuration.quantization {
        case .none: return nil
        case .pq4, .pq8:
            let bits = IVFCodes.productBits(configuration.quantization)!
            let width = IVFCodes.groupWidth(configuration, dimensions: dimensions)
            let byteCount = ProductQuantizer.byteCount(
                bits: bits, width: width, dimensions: dimensions)
            guard
                let quantizer = ProductQuantizer(
                    bits: bits, width: width, metric: metric, dimensions: dimensions,
                    encoded: try section("quan", byteCount, of: file))
            else { throw VectorError(.damaged, "section quan: a number that is not finite") }
            return IVFCodes(
                quantizer: .product(quantizer),
                bytes: try section("code", lists.blockCount * quantizer.blockBytes, of: file))
        case .rabitq:
            let codes = try RaBitQCodes(
                checking: file, metric: metric, dimensions: dimensions, starts: lists.allStarts,
                centroids: lists.centroids.pointer(to: Float.self)!)
            let bits = codes.quantizer.configuration.bits
            guard bits == configuration.bits else {
                throw VectorError(
                    .damaged,
                    "section rabq: expected \(configuration.bits) bits as in meta, found \(bits)"
                )
            }
            return IVFCodes(quantizer: .rabitq(codes), bytes: codes.blocks)
        case .sq8, .sq4, .auto:
            // The configuration was validated, and says what was chosen: only sq8 is left.
            guard
                let quantizer = ScalarQuantizer(
                    bits: 8, metric: metric, dimensions: dimensions,
                    encoded: try section("quan", 8 * dimensions, of: file))
            else { throw VectorError(.damaged, "section quan: a number that is not finite") }
            return IVFCodes(
                quantizer: .scalar(quantizer),
                bytes: try section("code", count * quantizer.stride, of: file))
        }
    }

    private func section(
        _ tag: String, _ count: Int, of file: IndexFile
    ) throws(VectorError) -> MemorySlice {
        guard let bytes = file[tag], bytes.count == count else {
            throw VectorError(
                .damaged, "section \(tag): expected \(count) bytes, found \(file[tag]?.count ?? 0)")
        }
        return bytes
    }

    /// Throws unless the lists have all vectors, one list's after the other's.
    private func check(_ starts: MemorySlice) throws(VectorError) {
        var last: UInt32 = 0
        for list in 0...lists {
            let next = starts.unsafeBytes.number(4 * list, UInt32.self)
            guard next >= last, next <= count, list > 0 || next == 0 else {
                throw VectorError(
                    .damaged, "section strt: list \(list) starts at \(next), behind \(last)")
            }
            last = next
        }
        guard last == count else {
            throw VectorError(
                .damaged, "section strt: expected \(count) vectors in lists, found \(last)")
        }
    }
}
