import TestSupport
import Testing

@testable import CordwoodCLI

@Suite struct TopicMaintenanceTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    private func run(_ command: String, _ options: String...) throws -> CommandProcess.Outcome {
        try CommandProcess.run(["topic", command, database, "events"] + options)
    }

    private func append(_ text: String) throws {
        let outcome = try CommandProcess.run(
            ["topic", "append", database, "events", "--create", "--key-separator", "="],
            input: Array(text.utf8))
        try #require(outcome.status == 0, "\(outcome.complaint)")
    }

    @Test func trimsAndPrintsOffsets() throws {
        try append("a=1\nb=2\nc=3\n")
        #expect(try run("offsets").output == "0 0 3\n")
        #expect(try run("trim", "--before", "2").output == "0 2\n")
        #expect(try run("offsets").output == "0 2 3\n")
        // The start never goes back.
        #expect(try run("trim", "--before", "1").output == "0 2\n")
        #expect(try run("read").output == "3\n")
        let beyond = try run("trim", "--before", "9")
        #expect(beyond.status == 1 && beyond.complaint.contains("up to the high watermark, 3"))
        #expect(try run("trim", "--before", "-1").status == 64)
        let json = try run("offsets", "--json")
        #expect(json.output == "{\"partition\":0,\"startOffset\":2,\"endOffset\":3}\n")
        #expect(try run("offsets", "--partition", "4").complaint.contains("expected 0 to 0"))
    }

    @Test func compactsWhatIsSetToBeCompacted() throws {
        #expect(try run("create", "--set", "cleanupPolicy=compact").status == 0)
        try append("a=1\na=2\nb=3\n")
        let compacted = try run("compact")
        #expect(compacted.status == 0 && compacted.output == "0 0\n", "\(compacted)")
        #expect(try run("read").output == "2\n3\n")
        #expect(try run("verify").status == 0)
    }

    @Test func refusesToCompactWhatIsNot() throws {
        try append("a=1\na=2\n")
        let refused = try run("compact")
        #expect(refused.status == 1 && refused.complaint.contains("cleanup"), "\(refused)")
        #expect(try run("read").output == "1\n2\n")
    }

    @Test(arguments: [
        ("segmentBytes", "--set: expected name=value"),
        ("segmentBytes=large", "segmentBytes: expected a number, found \"large\""),
        ("retentionBytes=x", "expected a number or unlimited"), ("color=red", "found \"color\""),
        ("cleanupPolicy=burn", "expected delete, compact"),
    ]) func refusesSettingsThatMakeNoSense(setting: String, complaint: String) throws {
        let outcome = try run("create", "--set", setting)
        #expect(outcome.status == 64 && outcome.complaint.contains(complaint), "\(outcome)")
    }

    @Test func refusesSettingsThatCannotWork() throws {
        let outcome = try run("create", "--set", "segmentBytes=10")
        #expect(outcome.status == 1 && outcome.complaint.contains("segmentBytes: expected"))
        #expect(try run("create", "--set", "retentionBytes=unlimited").status == 0)
    }
}
