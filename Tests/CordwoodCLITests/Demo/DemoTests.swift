import Glibc
import TestSupport
import Testing

@Suite struct DemoTests {
    @Test func showsNeighborsAndCleansUp() throws {
        let folder = TemporaryDirectory()
        let database = folder("database")
        let outcome = try CommandProcess.run("demo", "--directory", database, "--word", "bread")
        #expect(outcome.status == 0, "\(outcome.complaint)")
        let bread = try #require(outcome.lines.first { $0.hasPrefix("bread ") })
        #expect(bread.contains("baked") || bread.contains("cheese") || bread.contains("butter"))
        let analogy = try #require(outcome.lines.first { $0.hasPrefix("king - man + woman ") })
        #expect(analogy.contains("queen"))
        #expect(outcome.output.contains("every checksum holds"))
        // No escape sequences where nobody draws them.
        #expect(!outcome.output.contains("\u{1B}") && outcome.complaint.isEmpty)
        #expect(access(database, F_OK) != 0, "the folder is still there")
    }

    @Test func refusesUnknownWordsAndFullFolders() throws {
        let folder = TemporaryDirectory()
        let unknown = try CommandProcess.run("demo", "--word", "zzyzzx")
        #expect(unknown.status == 1 && unknown.complaint.contains("25,000"))
        _ = folder.write("precious", "data")
        let full = try CommandProcess.run("demo", "--directory", folder.path)
        #expect(full.status == 1 && full.complaint.contains("not empty"))
        #expect(TemporaryDirectory.contents(of: folder("precious")) == Array("data".utf8))
    }
}
