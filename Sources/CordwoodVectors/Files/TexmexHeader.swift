/// `.fvecs`, `.bvecs` and `.ivecs`: each row is its dimension as a little-endian 32-bit integer,
/// then its numbers. There is no header; the first row's dimension must be every row's.
enum TexmexHeader {
    private static let prefixBytes = 4

    static func layout(
        of file: VectorFile.OpenFile, elementType: VectorElementType
    ) throws(VectorFileError) -> VectorFile.Layout {
        guard file.size >= prefixBytes else {
            throw VectorFileError(
                .wrongSize, path: file.path,
                detail: "expected at least a row's \(prefixBytes)-byte dimension, "
                    + "found \(file.size) bytes")
        }
        let found = dimension(try file.read(at: 0, count: prefixBytes)[...])
        guard let dimensions = Int(exactly: found), (1...VectorFile.maximumDimensions) ~= dimensions
        else {
            throw VectorFileError(
                .malformed, path: file.path,
                detail: "row 0 says it has \(found) dimensions; expected 1 to "
                    + "\(VectorFile.maximumDimensions)")
        }
        var layout = VectorFile.Layout(
            rows: 0, dimensions: dimensions, elementType: elementType, dataPosition: 0,
            rowPrefixBytes: prefixBytes)
        guard file.size.isMultiple(of: layout.rowBytes) else {
            throw VectorFileError(
                .wrongSize, path: file.path,
                detail: "expected a multiple of \(layout.rowBytes) bytes, a row of \(dimensions) "
                    + "\(elementType.rawValue) numbers; found \(file.size) bytes")
        }
        layout.rows = file.size / layout.rowBytes
        return layout
    }

    /// The little-endian number that stands before a row.
    static func dimension(_ prefix: ArraySlice<UInt8>) -> UInt32 {
        prefix.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    static func check(
        _ found: UInt32, against dimensions: Int, row: Int, path: String
    ) throws(VectorFileError) {
        guard found == dimensions else {
            throw VectorFileError(
                .malformed, path: path,
                detail: "row \(row) says it has \(found) dimensions; expected \(dimensions), as "
                    + "row 0 has")
        }
    }
}
