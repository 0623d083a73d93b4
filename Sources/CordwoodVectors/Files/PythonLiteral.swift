/// Reads the few Python literals that an `.npy` header is made of, front to back.
///
/// Each `take` skips blanks, then either consumes what it names or leaves the rest as it was.
struct PythonLiteral {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { bytes[position...].allSatisfy(Self.isBlank) }

    mutating func isAt(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        return position < bytes.count && bytes[position] == UInt8(ascii: character)
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard isAt(character) else { return false }
        position += 1
        return true
    }

    /// A string in single or double quotes, without escapes: NumPy writes none.
    mutating func takeString() -> String? {
        guard isAt("'") || isAt("\"") else { return nil }
        let quote = bytes[position]
        guard let end = bytes[(position + 1)...].firstIndex(of: quote) else { return nil }
        let text = String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
        position = end + 1
        return text.contains("\\") ? nil : text
    }

    mutating func takeBoolean() -> Bool? {
        if takeWord("True") { return true }
        return takeWord("False") ? false : nil
    }

    /// `()`, `(3,)`, `(3, 4)`, `(3, 4,)`: sizes, none negative and none beyond an `Int`.
    mutating func takeTuple() -> [Int]? {
        guard take("(") else { return nil }
        var sizes: [Int] = []
        while !take(")") {
            guard let size = takeSize() else { return nil }
            sizes.append(size)
            if !take(","), !isAt(")") { return nil }
        }
        return sizes
    }

    private mutating func takeSize() -> Int? {
        skipBlanks()
        let digits = bytes[position...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }
        position += digits.count
        return Int(String(decoding: digits, as: UTF8.self))
    }

    private mutating func takeWord(_ word: String) -> Bool {
        skipBlanks()
        guard bytes[position...].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    private mutating func skipBlanks() {
        while position < bytes.count, Self.isBlank(bytes[position]) { position += 1 }
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\t")
    }
}
