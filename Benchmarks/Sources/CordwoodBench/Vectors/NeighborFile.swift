import CordwoodVectors

/// Neighbours as `.ivecs`: for each query a count and the ids, as 32-bit integers.
enum NeighborFile {
    static func write(_ neighbours: [[Neighbor]], to path: String) throws {
        var bytes: [UInt8] = []
        func append(_ value: Int) {
            withUnsafeBytes(of: Int32(value).littleEndian) { bytes += $0 }
        }
        for found in neighbours {
            append(found.count)
            for neighbour in found { append(Int(neighbour.id)) }
        }
        try SmallFile.replace(path, with: bytes)
    }
}
