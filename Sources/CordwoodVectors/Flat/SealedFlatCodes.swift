internal import CCordwoodKernels
internal import CordwoodStorage

/// The codes of rows and what they have lost, as a file has them and as memory does:
/// `cordwood_flat_codes`.
struct SealedFlatCodes: Sendable {
    /// Rows that are described together.
    static let blockRows = Int(CORDWOOD_FLAT_BLOCK)

    var quantizer: ScalarQuantizer
    var codes: MemorySlice
    /// Nil but for L2.
    var terms: MemorySlice?
    var errors: MemorySlice
    var bounds: MemorySlice

    var byteCount: Int { codes.count + (terms?.count ?? 0) + errors.count + bounds.count }

    var kernel: cordwood_flat_codes {
        cordwood_flat_codes(
            quantizer: quantizer.kernel, codes: codes.pointer(to: UInt8.self),
            terms: terms?.pointer(to: Float.self), errors: errors.pointer(to: UInt8.self),
            bounds: bounds.pointer(to: cordwood_flat_bounds.self))
    }

    /// How many bytes they take for a number of rows, which is that of all or of whole groups.
    struct Sizes {
        private static let groupRows = Int(CORDWOOD_FLAT_GROUP)

        let codes: Int
        /// Zero but for L2.
        let terms: Int
        let errors: Int
        let bounds: Int

        init(_ quantizer: ScalarQuantizer, rows: Int) {
            let groups = (rows + Self.groupRows - 1) / Self.groupRows
            let blocks = (rows + SealedFlatCodes.blockRows - 1) / SealedFlatCodes.blockRows
            codes = groups * cordwood_flat_group_bytes(quantizer.kernel)
            errors = groups * Self.groupRows
            terms =
                quantizer.kernel.pointee.metric == CORDWOOD_L2
                ? errors * MemoryLayout<Float>.stride : 0
            bounds = blocks * MemoryLayout<cordwood_flat_bounds>.stride
        }
    }
}
