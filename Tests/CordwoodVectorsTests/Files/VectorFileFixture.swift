import TestSupport

/// A file in a temporary folder of its own, removed with the last reference.
final class VectorFileFixture {
    let path: String
    private let folder = TemporaryDirectory()

    init(name: String, bytes: [UInt8]) { path = folder.write(name, bytes) }

    /// An `.npy` file as NumPy writes it: the header padded so that the data begin at a multiple of
    /// 64 bytes.
    static func numpy(version: UInt8 = 1, header: String, data: [UInt8]) -> [UInt8] {
        let lengthBytes = version == 1 ? 2 : 4
        let unpadded = 8 + lengthBytes + header.utf8.count + 1
        let padding = String(repeating: " ", count: (64 - unpadded % 64) % 64)
        let text = Array((header + padding + "\n").utf8)
        let length = (0..<lengthBytes).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
        return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + text + data
    }

    static func numpy(_ type: String, shape: String, data: [UInt8]) -> [UInt8] {
        numpy(
            header: "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }", data: data)
    }

    /// Rows as `.fvecs` and its kind have them, each with the dimension that it is given.
    static func texmex(_ rows: [(dimensions: UInt32, data: [UInt8])]) -> [UInt8] {
        rows.flatMap { littleEndian($0.dimensions) + $0.data }
    }

    static func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.littleEndian) { Array($0) }
    }
}
