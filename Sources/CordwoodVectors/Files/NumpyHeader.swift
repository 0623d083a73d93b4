/// The head of an `.npy` file, versions 1 to 3: a magic number, a version, a length, and a Python
/// dictionary with the element type, the order and the shape.
///
/// Follows the format's description in NumPy's `numpy.lib.format`.
struct NumpyHeader {
    /// A longer dictionary than this is taken for damage; NumPy writes 118 bytes for two numbers.
    static let maximumBytes = 65_536
    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

    private var elementType: String?
    private var isFortranOrder: Bool?
    private var shape: [Int]?

    static func layout(of file: VectorFile.OpenFile) throws(VectorFileError) -> VectorFile.Layout {
        let (text, dataPosition) = try dictionary(of: file)
        var header = NumpyHeader()
        do {
            try header.parse(text)
            return try header.layout(fileBytes: file.size, dataPosition: dataPosition)
        } catch {
            throw VectorFileError(error.code, path: file.path, detail: error.detail)
        }
    }

    /// What is wrong, before it is known in which file.
    private struct Problem: Error {
        var code: VectorFileError.Code
        var detail: String

        init(_ code: VectorFileError.Code, _ detail: String) {
            self.code = code
            self.detail = detail
        }
    }

    // MARK: The bytes before the data

    private static func dictionary(
        of file: VectorFile.OpenFile
    ) throws(VectorFileError) -> (text: [UInt8], dataPosition: Int) {
        let fixedBytes = 8
        guard file.size >= fixedBytes,
            case let fixed = try file.read(at: 0, count: fixedBytes), fixed.starts(with: magic)
        else {
            throw VectorFileError(
                .malformed, path: file.path,
                detail: "expected the magic bytes 93 4E 55 4D 50 59 of an .npy file")
        }
        let version = fixed[magic.count]
        guard (1...3) ~= version, fixed[magic.count + 1] == 0 else {
            throw VectorFileError(
                .unsupported, path: file.path,
                detail: "expected .npy version 1.0, 2.0 or 3.0, found "
                    + "\(version).\(fixed[magic.count + 1])")
        }
        let lengthBytes = version == 1 ? 2 : 4
        guard file.size >= fixedBytes + lengthBytes else {
            throw VectorFileError(
                .wrongSize, path: file.path, detail: "the file ends inside its header")
        }
        let length = try file.read(at: fixedBytes, count: lengthBytes).reversed()
            .reduce(0) { $0 << 8 | Int($1) }
        let start = fixedBytes + lengthBytes
        guard length <= maximumBytes, length <= file.size - start else {
            throw VectorFileError(
                .wrongSize, path: file.path,
                detail: "the header says it has \(length) bytes; expected at most "
                    + "\(min(maximumBytes, file.size - start))")
        }
        return (try file.read(at: start, count: length), start + length)
    }

    // MARK: The dictionary

    private mutating func parse(_ bytes: [UInt8]) throws(Problem) {
        var text = PythonLiteral(bytes)
        guard text.take("{") else { throw malformed("expected a dictionary", text) }
        while !text.take("}") {
            guard let key = text.takeString(), text.take(":") else {
                throw malformed("expected a quoted key and a colon", text)
            }
            try parseValue(of: key, &text)
            if !text.take(","), !text.isAt("}") {
                throw malformed("expected a comma or the end of the dictionary", text)
            }
        }
        guard text.isAtEnd else { throw malformed("expected nothing after the dictionary", text) }
    }

    private mutating func parseValue(
        of key: String, _ text: inout PythonLiteral
    ) throws(Problem) {
        switch key {
        case "descr" where elementType == nil:
            if text.isAt("[") {
                throw Problem(.unsupported, "a structured element type; expected plain numbers")
            }
            elementType = text.takeString()
            if elementType == nil { throw malformed("expected an element type", text) }
        case "fortran_order" where isFortranOrder == nil:
            isFortranOrder = text.takeBoolean()
            if isFortranOrder == nil { throw malformed("expected True or False", text) }
        case "shape" where shape == nil:
            shape = text.takeTuple()
            if shape == nil { throw malformed("expected a tuple of sizes", text) }
        default:
            let name = String(reflecting: String(key.prefix(32)))
            throw Problem(.malformed, "the key \(name) is unknown or stands twice in the header")
        }
    }

    private func malformed(_ expectation: String, _ text: PythonLiteral) -> Problem {
        Problem(.malformed, "\(expectation) at byte \(text.position) of the header")
    }

    // MARK: What it means

    private func layout(
        fileBytes: Int, dataPosition: Int
    ) throws(Problem) -> VectorFile.Layout {
        guard let elementType, let isFortranOrder, let shape else {
            throw Problem(.malformed, "expected the keys descr, fortran_order and shape")
        }
        if isFortranOrder {
            throw Problem(.unsupported, "Fortran order; expected C order, rows one after another")
        }
        guard shape.count == 2 else {
            throw Problem(
                .unsupported,
                "an array of rank \(shape.count); expected 2: rows and dimensions")
        }
        guard (1...VectorFile.maximumDimensions) ~= shape[1] else {
            throw Problem(
                .unsupported,
                "\(shape[1]) dimensions; expected 1 to \(VectorFile.maximumDimensions)")
        }
        let layout = VectorFile.Layout(
            rows: shape[0], dimensions: shape[1], elementType: try Self.type(named: elementType),
            dataPosition: dataPosition, rowPrefixBytes: 0)
        let (dataBytes, overflow) = layout.rows.multipliedReportingOverflow(by: layout.rowBytes)
        guard !overflow, dataBytes == fileBytes - dataPosition else {
            throw Problem(
                .wrongSize,
                "the header promises \(layout.rows) rows of \(layout.rowBytes) bytes; found "
                    + "\(fileBytes - dataPosition) bytes after it")
        }
        return layout
    }

    private static func type(named name: String) throws(Problem) -> VectorElementType {
        switch name {
        case "<f2": return .float16
        case "<f4": return .float32
        case "<f8": return .float64
        case "|u1", "<u1": return .uint8
        default:
            let found = String(reflecting: String(name.prefix(32)))
            let kind =
                name.hasPrefix(">")
                ? "big-endian element type \(found)"
                : name.contains("O") ? "object type \(found)" : "element type \(found)"
            throw Problem(.unsupported, "\(kind); expected <f2, <f4, <f8 or |u1")
        }
    }
}
