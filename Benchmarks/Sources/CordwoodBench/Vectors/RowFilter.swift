import CordwoodVectors

/// The rows that may be returned, as a file of bits.
struct RowFilter: Sendable {
    let bytes: [UInt8]

    /// Throws where the file is not of a bit for each of `rows`.
    init(path: String, rows: Int) throws {
        guard let bytes = SmallFile.readBytes(path) else {
            throw BenchError("--allow: cannot read \(path)")
        }
        guard bytes.count == (rows + 7) / 8 else {
            throw BenchError(
                "--allow: expected \((rows + 7) / 8) bytes for \(rows) rows, "
                    + "found \(bytes.count)")
        }
        self.bytes = bytes
    }

    subscript(row: UInt64) -> Bool { bytes[Int(row / 8)] >> (row % 8) & 1 == 1 }

    /// The same by the places of an index.
    func bitmap(of index: some VectorIndex) -> VectorBitmap {
        var bitmap = VectorBitmap(count: index.count)
        for place in 0..<index.count where self[index.id(at: place)] { bitmap[place] = true }
        return bitmap
    }
}
