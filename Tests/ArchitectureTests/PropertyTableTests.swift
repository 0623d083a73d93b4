import Testing

/// Holds the table of properties of vector search against the tests that it names.
@Suite struct PropertyTableTests {
    private let page: String
    private let rows: [[Substring]]

    init() throws {
        page = try ProjectTree.contents(of: "docs/properties.md")
        rows = page.split(separator: "\n").filter { $0.hasPrefix("| ") && $0.contains("`") }
            .map { $0.split(separator: "|") }
    }

    /// What a text has in code quotes.
    private static func names(in text: some StringProtocol) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    @Test func allTwentyAreTested() {
        let numbers = rows.map { $0[0].filter(\.isNumber) }
        #expect(numbers == (1...20).map(String.init))
        for row in rows { #expect(!Self.names(in: row[2]).isEmpty, "\(row)") }
    }

    /// Each name is a test of a suite, `Suite.test`, or a function of a C file, `file.c function`.
    @Test func eachTestThatIsNamedIsThere() throws {
        var suites: [String: String] = [:]
        for file in try ProjectTree.files(below: "Tests", suffixes: ["Tests.swift"]) {
            for part in try ProjectTree.contents(of: file).split(separator: "@Suite").dropFirst() {
                guard let start = part.firstRange(of: "struct ") else { continue }
                let name = part[start.upperBound...].prefix { $0.isLetter || $0.isNumber }
                suites[String(name), default: ""] += part
            }
        }
        let text = try #require(page.firstRange(of: "| 1 |"))
        let names = Self.names(in: page[text.lowerBound...])
        #expect(names.count > 40)
        for name in names {
            let parts = name.split { $0 == " " || $0 == "." }.map(String.init)
            if parts.count == 3, parts[1] == "c" {
                let source = try ProjectTree.contents(of: "Tests/CKernelsTests/\(parts[0]).c")
                #expect(source.contains("static void \(parts[2])("), "\(name)")
            } else {
                #expect(parts.count == 2, "\(name)")
                let suite = suites[parts[0]] ?? ""
                let declaration = suite.firstRange(of: "func \(parts[1])(")
                let test = declaration.map { suite[..<$0.lowerBound].suffix(200) } ?? ""
                #expect(test.contains("@Test"), "\(name)")
            }
        }
    }
}
