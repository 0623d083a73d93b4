/// A JSON value that prints itself on one line. Keys keep their order.
enum JSON: CustomStringConvertible {
    case object([(String, JSON)])
    case array([JSON])
    case string(String)
    case integer(Int64)
    case number(Double)
    case unsigned(UInt64)
    case boolean(Bool)
    case null

    static func count(_ value: Int) -> JSON { .integer(Int64(value)) }

    /// The value as a person reads it: text without quotes.
    var plain: String {
        if case .string(let string) = self { return string }
        return description
    }

    /// Bytes as text where they are UTF-8; else null, and the caller offers ``base64(_:)``.
    static func text(_ bytes: [UInt8]?) -> JSON {
        guard let bytes, let text = String(validating: bytes, as: UTF8.self) else { return .null }
        return .string(text)
    }

    static func base64(_ bytes: [UInt8]) -> JSON {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for digit in 0..<4 {
                text.append(
                    digit <= group.count
                        ? alphabet[bits >> (18 - 6 * digit) & 63] : UInt8(ascii: "="))
            }
        }
        return .string(String(decoding: text, as: UTF8.self))
    }

    var description: String { String(decoding: utf8, as: UTF8.self) }

    var utf8: [UInt8] {
        var text: [UInt8] = []
        write(to: &text)
        return text
    }

    private func write(to text: inout [UInt8]) {
        switch self {
        case .object(let members):
            text.append(UInt8(ascii: "{"))
            for (index, (key, value)) in members.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                Self.write(key, to: &text)
                text.append(UInt8(ascii: ":"))
                value.write(to: &text)
            }
            text.append(UInt8(ascii: "}"))
        case .array(let values):
            text.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                value.write(to: &text)
            }
            text.append(UInt8(ascii: "]"))
        case .string(let string): Self.write(string, to: &text)
        case .integer(let integer): text += "\(integer)".utf8
        case .unsigned(let integer): text += "\(integer)".utf8
        // JSON has no infinities and no NaN.
        case .number(let number): text += number.isFinite ? "\(number)".utf8 : "null".utf8
        case .boolean(let boolean): text += boolean ? "true".utf8 : "false".utf8
        case .null: text += "null".utf8
        }
    }

    /// Byte by byte: what must be escaped is ASCII, and no part of a longer character.
    private static func write(_ string: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): text += "\\n".utf8
            case UInt8(ascii: "\r"): text += "\\r".utf8
            case UInt8(ascii: "\t"): text += "\\t".utf8
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                text += "\\u00\(digits.count < 2 ? "0" : "")\(digits)".utf8
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }
}
