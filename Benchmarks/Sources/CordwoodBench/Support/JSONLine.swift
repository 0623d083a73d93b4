/// A JSON value, as far as benchmarks need it.
enum JSONValue {
    case null
    case bool(Bool)
    case integer(Int)
    /// Printed with four significant digits, since no figure here is known better.
    case number(Double)
    case string(String)
    case object([(String, JSONValue)])
}

extension JSONValue: CustomStringConvertible {
    var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): Self.text(of: value)
        case .string(let value): Self.quoted(value)
        case .object(let fields):
            "{"
                + fields.map { "\(Self.quoted($0.0)): \($0.1)" }.joined(separator: ", ")
                + "}"
        }
    }

    private static func text(of value: Double) -> String {
        // JSON has no infinity and no NaN.
        guard value.isFinite else { return "null" }
        var scale = 1.0
        while abs(value) * scale < 1000, scale < 1e12 { scale *= 10 }
        let rounded = (value * scale).rounded() / scale
        return scale == 1 ? "\(Int(rounded))" : "\(rounded)"
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// One line of output: an object whose fields keep their order.
struct JSONLine {
    private var fields: [(String, JSONValue)] = []

    subscript(name: String) -> JSONValue {
        get { fields.first { $0.0 == name }?.1 ?? .null }
        set {
            if let index = fields.firstIndex(where: { $0.0 == name }) {
                fields[index].1 = newValue
            } else {
                fields.append((name, newValue))
            }
        }
    }

    /// Prints the line and flushes it, so that a reader at the other end of a pipe gets it now.
    func print() { Terminal.printLine("\(JSONValue.object(fields))") }
}
