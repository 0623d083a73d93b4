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

    var description: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .object(let members):
            text += "{"
            for (index, (key, value)) in members.enumerated() {
                if index > 0 { text += "," }
                Self.write(key, to: &text)
                text += ":"
                value.write(to: &text)
            }
            text += "}"
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .string(let string): Self.write(string, to: &text)
        case .integer(let integer): text += "\(integer)"
        case .unsigned(let integer): text += "\(integer)"
        // JSON has no infinities and no NaN.
        case .number(let number): text += number.isFinite ? "\(number)" : "null"
        case .boolean(let boolean): text += boolean ? "true" : "false"
        case .null: text += "null"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
