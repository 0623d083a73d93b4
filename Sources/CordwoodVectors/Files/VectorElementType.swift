/// How one number of a vector file is stored, little-endian.
public enum VectorElementType: String, Sendable, CaseIterable {
    case float16, float32, float64, uint8, int32

    /// Bytes a number.
    public var byteCount: Int {
        switch self {
        case .uint8: 1
        case .float16: 2
        case .float32, .int32: 4
        case .float64: 8
        }
    }

    /// Appends the numbers in `bytes` to `values`. Numbers that a `Float` cannot hold are rounded
    /// to the nearest one, which for a large `float64` is infinity. O(n).
    func appendFloats(of bytes: UnsafeRawBufferPointer, to values: inout [Float]) {
        switch self {
        case .float16:
            append(bytes, to: &values) { Float(Float16(bitPattern: UInt16(littleEndian: $0))) }
        case .float32:
            append(bytes, to: &values) { Float(bitPattern: UInt32(littleEndian: $0)) }
        case .float64:
            append(bytes, to: &values) { Float(Double(bitPattern: UInt64(littleEndian: $0))) }
        case .uint8:
            append(bytes, to: &values) { (byte: UInt8) in Float(byte) }
        case .int32:
            append(bytes, to: &values) { Float(Int32(littleEndian: $0)) }
        }
    }

    /// Rows of a file need not be aligned in memory, hence the unaligned loads.
    private func append<Bits: BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, to values: inout [Float], _ convert: (Bits) -> Float
    ) {
        for position in stride(from: 0, to: bytes.count, by: MemoryLayout<Bits>.size) {
            values.append(convert(bytes.loadUnaligned(fromByteOffset: position, as: Bits.self)))
        }
    }
}
