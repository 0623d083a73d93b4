/// The targets that `Package.swift` declares, read from its text.
///
/// Reading the text, and not asking `swift package`, keeps the test free of a second SwiftPM that
/// would wait for the first one's lock.
struct PackageManifest {
    struct Target {
        var name: String
        var kind: String
        /// Where its sources lie, if not in the folder of its name.
        var path: String?
        var dependencies: Set<String>
    }

    var targets: [Target] = []

    private static let kinds = ["systemLibrary", "target", "executableTarget", "testTarget"]

    init(source: String) {
        // Labels and literals stand side by side once no blank is left between them.
        let source = source.filter { !$0.isWhitespace }
        for kind in Self.kinds {
            var rest = Substring(source)
            while let call = rest.firstRange(of: ".\(kind)(") {
                let body = Self.balanced(rest[call.upperBound...])
                rest = rest[body.endIndex...]
                guard let name = Self.strings(after: "name:", in: body).first else { continue }
                // A target's own name is not a dependency; a product's name is.
                let dependencies = Self.bracketed(after: "dependencies:", in: body)
                let products = dependencies.map { Self.strings(after: ".product(name:", in: $0) }
                let plain = dependencies.map(Self.plainStrings) ?? []
                targets.append(
                    Target(
                        name: name, kind: kind, path: Self.strings(after: "path:", in: body).first,
                        dependencies: Set(plain).union(products ?? [])))
            }
        }
    }

    subscript(name: String) -> Target? { targets.first { $0.name == name } }

    /// The text up to the parenthesis or bracket that closes what was open at its start.
    private static func balanced(_ text: Substring) -> Substring {
        var depth = 1
        for index in text.indices {
            switch text[index] {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            default: continue
            }
            if depth == 0 { return text[..<index] }
        }
        return text
    }

    private static func bracketed(after label: String, in text: Substring) -> Substring? {
        guard let found = text.firstRange(of: label),
            let open = text[found.upperBound...].firstIndex(of: "[")
        else { return nil }
        return balanced(text[text.index(after: open)...])
    }

    /// The literal that follows each occurrence of `label`.
    private static func strings(after label: String, in text: Substring) -> [String] {
        text.ranges(of: label).compactMap { range in
            text[range.upperBound...].split(separator: "\"", omittingEmptySubsequences: false)
                .dropFirst().first.map(String.init)
        }
    }

    /// The literals that stand by themselves, outside any call's parentheses.
    private static func plainStrings(_ list: Substring) -> [String] {
        var depth = 0
        var outside = ""
        for character in list {
            if character == "(" { depth += 1 }
            if depth == 0 { outside.append(character) }
            if character == ")" { depth -= 1 }
        }
        return outside.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .compactMap { $0.offset.isMultiple(of: 2) ? nil : String($0.element) }
    }
}
