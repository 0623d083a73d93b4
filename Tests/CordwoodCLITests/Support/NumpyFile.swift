/// An `.npy` file of version 1, as NumPy writes it.
enum NumpyFile {
    static func floats(_ rows: [[Float]]) -> [UInt8] {
        let shape = "(\(rows.count), \(rows.first?.count ?? 0))"
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }"
        let padded = text + String(repeating: " ", count: 64 - (11 + text.utf8.count) % 64) + "\n"
        let length = padded.utf8.count
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
            + Array(padded.utf8)
            + rows.joined().flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
    }
}
