/// The modules that a Swift file imports, whatever attributes and access modifiers stand before.
///
/// Comments and string literals are not code: an import inside one does not count, and none can
/// hide one.
enum SwiftImports {
    static func modules(in source: String) -> [String] {
        var modules: [String] = []
        for statement in withoutCommentsAndStrings(source).split(whereSeparator: {
            $0 == "\n" || $0 == "\r\n" || $0 == ";"
        }) {
            if let module = module(importedBy: words(of: statement)) { modules.append(module) }
        }
        return modules
    }

    private static let modifiers: Set<String> = [
        "public", "package", "internal", "fileprivate", "private",
    ]
    private static let kinds: Set<String> = [
        "typealias", "struct", "class", "enum", "protocol", "let", "var", "func", "macro",
    ]

    private static func words(of statement: Substring) -> [Substring] {
        statement.split(whereSeparator: { $0 == " " || $0 == "\t" })
    }

    private static func module(importedBy words: [Substring]) -> String? {
        var rest = words[...]
        while let word = rest.first, word.hasPrefix("@") || modifiers.contains(String(word)) {
            rest.removeFirst()
        }
        guard rest.popFirst() == "import" else { return nil }
        if let kind = rest.first, kinds.contains(String(kind)) { rest.removeFirst() }
        return rest.first.map { name in String(name.prefix { $0 != "." }) }
    }

    /// The source with each comment and string literal replaced by spaces; line breaks stay.
    static func withoutCommentsAndStrings(_ source: String) -> String {
        var scanner = Scanner(rest: Substring(source))
        return scanner.scan()
    }

    private struct Scanner {
        var rest: Substring
        var code = ""

        mutating func scan() -> String {
            while let character = rest.first {
                if rest.hasPrefix("//") {
                    rest = rest.drop { !$0.isNewline }
                    code.append(" ")
                } else if rest.hasPrefix("/*") {
                    skipBlockComment()
                } else if character == "\"" || character == "#", let hashes = openingHashes() {
                    skipString(hashes: hashes)
                } else {
                    code.append(character)
                    rest.removeFirst()
                }
            }
            return code
        }

        /// Block comments nest in Swift.
        private mutating func skipBlockComment() {
            var depth = 0
            repeat {
                if rest.hasPrefix("/*") {
                    depth += 1
                    rest.removeFirst(2)
                } else if rest.hasPrefix("*/") {
                    depth -= 1
                    rest.removeFirst(2)
                } else {
                    skipOne()
                }
            } while depth > 0 && !rest.isEmpty
            code.append(" ")
        }

        /// How many `#` stand before a quote here, or nil when no string begins here.
        private func openingHashes() -> Int? {
            let hashes = rest.prefix { $0 == "#" }
            return rest.dropFirst(hashes.count).first == "\"" ? hashes.count : nil
        }

        private mutating func skipString(hashes: Int) {
            let fence = String(repeating: "#", count: hashes)
            rest.removeFirst(hashes)
            let quote = rest.hasPrefix("\"\"\"") ? "\"\"\"" : "\""
            rest.removeFirst(quote.count)
            while !rest.isEmpty, !rest.hasPrefix(quote + fence) {
                // An escaped quote or backslash does not end the string.
                if rest.hasPrefix("\\" + fence) { rest.removeFirst(1 + hashes) }
                if !rest.isEmpty { skipOne() }
            }
            rest = rest.dropFirst(quote.count + hashes)
            code.append(" ")
        }

        private mutating func skipOne() {
            if rest.removeFirst().isNewline { code.append("\n") }
        }
    }
}
