import TestSupport
import Testing

@Suite struct CollectionCommandTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    /// Points on a line, and a label for each.
    private func importLine(count: Int) throws -> CommandProcess.Outcome {
        let rows = (0..<count).map { [Float($0), 0] }
        let labels = folder.write("labels", (0..<count).map { "label \($0)\n" }.joined())
        try create()
        return try CommandProcess.run(
            "collection", "import", database, "points",
            folder.write("points.npy", NumpyFile.floats(rows)), "--labels", labels)
    }

    private func create(metric: String = "l2") throws {
        let created = try CommandProcess.run(
            "collection", "create", database, "points", "--dimensions", "2", "--metric", metric,
            "--index", "flat", "--quantization", "none")
        #expect(created.status == 0, "\(created.complaint)")
    }

    @Test func importsAndSearchesByPoint() throws {
        let imported = try importLine(count: 500)
        #expect(imported.status == 0 && imported.output.isEmpty)
        #expect(imported.complaint.contains("500 points imported"))
        let found = try CommandProcess.run(
            "collection", "search", database, "points", "--like", "100", "--limit", "2")
        #expect(found.lines.count == 3)
        #expect(found.lines[0].split(separator: " ") == ["99", "1.00000", "label", "99"])
        #expect(found.lines[1].split(separator: " ") == ["101", "1.00000", "label", "101"])
        let described = try CommandProcess.run(
            "collection", "describe", database, "points", "--json")
        #expect(
            described.output.hasPrefix(
                "{\"collection\":\"points\",\"points\":500,\"dimensions\":2,\"metric\":\"l2\","
                    + "\"index\":\"flat\",\"quantization\":\"none\",\"appliedOffset\":"))
    }

    @Test func searchesByFile() throws {
        _ = try importLine(count: 500)
        let queries = folder.write("queries.npy", NumpyFile.floats([[7, 0], [499, 2]]))
        let found = try CommandProcess.run(
            "collection", "search", database, "points", "--vector-file", queries, "--limit", "1",
            "--json")
        #expect(
            found.output == """
                {"query":0,"neighbors":[{"id":7,"distance":0.0,"payload":{"label":"label 7"}}]}
                {"query":1,"neighbors":[{"id":499,"distance":4.0,"payload":{"label":"label 499"}}]}

                """)
    }

    @Test func takesIDsAndLimits() throws {
        try create(metric: "ip")
        let vectors = folder.write("points.npy", NumpyFile.floats([[1, 0], [0, 1], [1, 1]]))
        let ids = folder.write("ids", "18446744073709551615\n7\n8\n")
        let imported = try CommandProcess.run(
            "collection", "import", database, "points", vectors, "--ids", ids, "--limit", "2")
        #expect(imported.status == 0, "\(imported.complaint)")
        let found = try CommandProcess.run(
            "collection", "search", database, "points", "--like", "7", "--json")
        #expect(
            found.output
                == "{\"like\":7,\"neighbors\":[{\"id\":18446744073709551615,\"distance\":-0.0,"
                + "\"payload\":{}}]}\n"
                || found.output
                    == "{\"like\":7,\"neighbors\":[{\"id\":18446744073709551615,\"distance\":0.0,"
                    + "\"payload\":{}}]}\n"
        )
    }

    /// Importing again replaces; nothing is counted twice.
    @Test func importsAgain() throws {
        _ = try importLine(count: 300)
        let again = try CommandProcess.run(
            "collection", "import", database, "points",
            folder.write("points.npy", NumpyFile.floats([[9, 9]])))
        #expect(again.status == 0)
        let described = try CommandProcess.run("collection", "describe", database, "points")
        #expect(described.lines[1].split(separator: " ") == ["points", "300"])
    }

    /// A collection that is too damaged to be opened is reported, beside what is sound.
    @Test func verifyFindsDamage() throws {
        _ = try importLine(count: 500)
        _ = try CommandProcess.run("topic", "create", database, "events")
        #expect(try CommandProcess.run("topic", "verify", database).status == 0)
        let log = "database/collections/points/0/00000000000000000000.log"
        var bytes = TemporaryDirectory.contents(of: folder(log))
        let label = try #require(bytes.firstRange(of: Array("label 250".utf8)))
        bytes[label.lowerBound] ^= 1
        _ = folder.write(log, bytes)
        let outcome = try CommandProcess.run("topic", "verify", database)
        #expect(outcome.status == 2)
        #expect(outcome.output.contains("collection points: DAMAGED"))
        #expect(outcome.output.contains("\n  collections/points/0/"))
        #expect(outcome.output.contains("topic events: every checksum holds"))
    }
}
