import CCordwoodChecksum
import CordwoodSimulation
import CordwoodStorage

@testable import CordwoodVectors

extension FuzzTarget {
    private static let headerBytes = 4096
    private static let firstEntry = 32
    private static let entryBytes = 32

    /// A file of an index, whose checksums are made to hold, so that what is behind them is reached.
    static let vectorIndex = FuzzTarget(name: "vector-index") { input in
        var bytes = [UInt8](input)
        mendChecksums(&bytes)
        let block = MemoryBlock(copying: bytes)
        if let file = try? IndexFile(checking: block, .hnsw),
            let index = try? HNSWIndex(checking: file)
        {
            search(index)
        }
        if let file = try? IndexFile(checking: block, .ivf),
            let index = try? IVFIndex(checking: file)
        {
            search(index)
        }
        if let file = try? IndexFile(checking: block, .flat),
            let index = try? SealedFlatIndex(checking: file)
        {
            search(index)
        }
        if (try? IndexHeader(checking: block.unsafeBytes, fileBytes: bytes.count, .disk)) != nil {
            let written = bytes
            waitFor { await searchOnDisk(written) }
        }
    }

    private static func searchOnDisk(_ bytes: [UInt8]) async {
        let storage = SimulatedStorage(seed: 1)
        let index: DiskIndex
        do {
            let path = try StoragePath.root.appending("index")
            let file = try await storage.open(path, .openOrCreate)
            try await file.write(
                [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
            await file.close()
            index = try await DiskIndex.open(path, on: storage)
        } catch { return }
        search(index)
    }

    /// What has been believed must be safe to search, whatever it finds.
    private static func search(_ index: some VectorIndex) {
        guard index.dimensions <= 4096 else { return }
        let query = (0..<index.dimensions).map { Float($0 % 3) - 1 }
        var odd = VectorBitmap(count: index.count)
        for place in stride(from: 1, to: index.count, by: 2) { odd[place] = true }
        for accuracy in [SearchAccuracy.effort(8), .recall(0.9), .exact] {
            for filter in [nil, odd] {
                _ = try? index.search(
                    batch: query.span, limit: 3, accuracy: accuracy, allowing: filter)
            }
        }
    }

    /// Writes the file's length and the checksums that its header should have.
    private static func mendChecksums(_ bytes: inout [UInt8]) {
        guard bytes.count >= headerBytes else { return }
        let count = bytes.count
        bytes.withUnsafeMutableBytes { bytes in
            func checksum(_ range: Range<Int>) -> UInt32 {
                cordwood_crc32c(0, bytes.baseAddress! + range.lowerBound, range.count)
            }
            bytes.storeBytes(of: UInt64(count), toByteOffset: 24, as: UInt64.self)
            let sections = Int(bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self))
            for section in 0..<min(sections, (headerBytes - firstEntry) / entryBytes) {
                let entry = firstEntry + section * entryBytes
                let start = bytes.loadUnaligned(fromByteOffset: entry + 8, as: UInt64.self)
                let length = bytes.loadUnaligned(fromByteOffset: entry + 16, as: UInt64.self)
                guard start <= count, length <= UInt64(count) - start else { continue }
                let range = Int(start)..<Int(start + length)
                if bytes.loadUnaligned(fromByteOffset: entry + 24, as: UInt64.self) == 0 {
                    bytes.storeBytes(of: checksum(range), toByteOffset: entry + 4, as: UInt32.self)
                    continue
                }
                // Each page has its own.
                for page in stride(from: range.lowerBound, to: range.upperBound, by: headerBytes) {
                    guard range.upperBound - page >= 4 else { break }
                    let rest = page + 4..<min(page + headerBytes, range.upperBound)

                    bytes.storeBytes(of: checksum(rest), toByteOffset: page, as: UInt32.self)
                }
            }
            bytes.storeBytes(of: 0, toByteOffset: 12, as: UInt32.self)
            bytes.storeBytes(of: checksum(0..<headerBytes), toByteOffset: 12, as: UInt32.self)
        }
    }
}
