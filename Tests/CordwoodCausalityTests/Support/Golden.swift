import Foundation

/// Files that earlier versions wrote, and which every later one must read and write alike.
enum Golden {
    static func text(_ name: String) throws -> String {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Golden/\(name)")
        return try String(contentsOf: file, encoding: .utf8)
    }

    /// Bytes as pairs of hexadecimal digits; blanks do not count.
    static func bytes(_ name: String) throws -> [UInt8] {
        let digits = try text(name).filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).compactMap { offset in
            let start = digits.index(digits.startIndex, offsetBy: offset)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
        }
    }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    }

    static func decode<Value: Decodable>(
        _ text: String, as type: Value.Type = Value.self
    ) throws
        -> Value
    { try JSONDecoder().decode(type, from: Data(text.utf8)) }
}
