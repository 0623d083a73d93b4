import ArgumentParser

/// The value that a command-line argument names; for enumerations of the library, which know
/// nothing of arguments.
func named<Value: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Value {
    guard let value = Value(rawValue: text) else {
        let names = Value.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("expected one of \(names), found \(text)")
    }
    return value
}
