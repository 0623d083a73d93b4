import TestSupport
import Testing

@testable import CordwoodCLI

@Suite struct LineFileTests {
    @Test(arguments: [
        ("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\n\nb", ["a", "", "b"]), ("\n", [""]),
        ("é\r\n", ["é\r"]),
    ])
    func splitsLines(text: String, expected: [String]) throws {
        let folder = TemporaryDirectory()
        let path = folder.write("lines", text)
        #expect(try LineFile(path).next(10) == expected)
        #expect(try LineFile.count(path) == expected.count)
    }

    /// Lines that straddle the reads, taken a few at a time.
    @Test func readsPastItsBuffer() throws {
        let lines = (0..<3000).map { String(repeating: "\($0 % 10)", count: $0 % 700) }
        let folder = TemporaryDirectory()
        let file = try LineFile(folder.write("lines", lines.joined(separator: "\n") + "\n"))
        var found: [String] = []
        while case let some = try file.next(7), !some.isEmpty { found += some }
        #expect(found == lines)
    }

    @Test func refusesWhatIsNoText() throws {
        let folder = TemporaryDirectory()
        let bytes = try LineFile(folder.write("bytes", [0x61, 0x0A, 0xFF, 0x0A]))
        let error = try #require(throws: CommandError.self) { try bytes.next(2) }
        #expect("\(error)".contains("line 2"))
        let long = try LineFile(
            folder.write("long", [UInt8](repeating: 0x61, count: 3 * LineFile.maximumLineBytes)))
        #expect(throws: CommandError.self) { try long.next(1) }
        #expect(throws: CommandError.self) { try LineFile(folder("missing")) }
    }
}
