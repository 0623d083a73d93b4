internal import CCordwoodKernels

/// What components are kept as in the pages: the least that has them exactly.
enum DiskElement: UInt8, CaseIterable {
    case float32 = 0
    case float16 = 1
    case uint8 = 2

    var kernel: cordwood_disk_element {
        switch self {
        case .float32: CORDWOOD_DISK_F32
        case .float16: CORDWOOD_DISK_F16
        case .uint8: CORDWOOD_DISK_U8
        }
    }

    /// The smallest that has every component as it is.
    init(of vector: UnsafePointer<Float>, count: Int) {
        let components = UnsafeBufferPointer(start: vector, count: count)
        if components.allSatisfy({ $0 >= 0 && $0 <= 255 && Float(UInt8($0)) == $0 }) {
            self = .uint8
        } else if components.allSatisfy({ Float(Float16($0)) == $0 }) {
            self = .float16
        } else {
            self = .float32
        }
    }

    /// What has the components of both.
    func joined(with other: DiskElement) -> DiskElement {
        if self == other { return self }
        // Half precision has all whole numbers up to 2048.
        return self == .float32 || other == .float32 ? .float32 : .float16
    }
}

/// Where the records of nodes lie in the pages of a file.
struct DiskLayout: Equatable {
    static let pageBytes = IndexHeader.pageBytes
    /// The checksum of a page, and its number.
    static let headBytes = 8
    static let payloadBytes = pageBytes - headBytes

    let dimensions: Int
    let degree: Int
    let element: DiskElement
    let nodeCount: Int

    /// Bytes of a record.
    var nodeBytes: Int {
        var shape = cordwood_disk()
        shape.degree = UInt32(degree)
        shape.dimensions = dimensions
        shape.element = element.kernel
        return cordwood_disk_node_bytes(&shape)
    }

    var nodesPerBlock: Int { max(1, Self.payloadBytes / nodeBytes) }
    var pagesPerBlock: Int { (nodeBytes + Self.payloadBytes - 1) / Self.payloadBytes }
    var blockCount: Int { (nodeCount + nodesPerBlock - 1) / nodesPerBlock }
    var blockBytes: Int { pagesPerBlock * Self.pageBytes }
    var byteCount: Int { blockCount * blockBytes }

    /// Fills a block's pages with its records and their heads.
    static func write(
        _ records: UnsafeRawBufferPointer, block: Int, to pages: UnsafeMutableRawBufferPointer
    ) {
        let count = pages.count / pageBytes
        for page in 0..<count {
            let target = UnsafeMutableRawBufferPointer(
                rebasing: pages[page * pageBytes..<(page + 1) * pageBytes])
            let start = min(page * payloadBytes, records.count)
            let part = records[start..<min(start + payloadBytes, records.count)]
            target.initializeMemory(as: UInt8.self, repeating: 0)
            target.storeBytes(
                of: UInt32(block * count + page).littleEndian, toByteOffset: 4, as: UInt32.self)
            UnsafeMutableRawBufferPointer(rebasing: target[headBytes...]).copyBytes(from: part)
            target.storeBytes(
                of: sum(of: UnsafeRawBufferPointer(target)).littleEndian, as: UInt32.self)
        }
    }

    /// The number of the first page of a block that is not what was written there.
    static func firstDamaged(_ pages: UnsafeRawBufferPointer, block: Int) -> Int? {
        let count = pages.count / pageBytes
        for page in 0..<count {
            let bytes = UnsafeRawBufferPointer(
                rebasing: pages[page * pageBytes..<(page + 1) * pageBytes])
            let number = block * count + page
            guard bytes.number(0, UInt32.self) == sum(of: bytes),
                bytes.number(4, UInt32.self) == UInt32(truncatingIfNeeded: number)
            else { return number }
        }
        return nil
    }

    private static func sum(of page: UnsafeRawBufferPointer) -> UInt32 {
        indexChecksum(UnsafeRawBufferPointer(rebasing: page[4...]))
    }
}
