import TestSupport
import Testing

@testable import CordwoodCLI

@Suite struct TopicAlterTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    private func run(_ command: String, _ options: String...) throws -> CommandProcess.Outcome {
        try CommandProcess.run(["topic", command, database, "events"] + options)
    }

    private func create(_ settings: String...) throws {
        let created = try CommandProcess.run(
            ["topic", "create", database, "events", "--partitions", "2"]
                + settings.flatMap { ["--set", $0] })
        try #require(created.status == 0, "\(created)")
    }

    @Test func changesSettingsForGood() throws {
        try create("segmentBytes=2000000", "retentionBytes=5")
        let altered = try run(
            "alter", "--set", "cleanupPolicy=compact,delete", "--set", "compressionType=zstd:7",
            "--set", "segmentMilliseconds=unlimited", "--unset", "retentionBytes")
        #expect(altered.status == 0 && altered.complaint.isEmpty, "\(altered)")
        // All settings, as --set takes them.
        #expect(altered.lines.contains("cleanupPolicy=compact,delete"))
        #expect(altered.lines.contains("compressionType=zstd:7"))
        #expect(altered.lines.contains("segmentMilliseconds=unlimited"))
        #expect(altered.lines.contains("retentionBytes=unlimited"))
        #expect(altered.lines.contains("segmentBytes=2000000"))
        #expect(altered.lines.contains("indexIntervalBytes=4096"))
        let described = try run("describe")
        #expect(
            described.lines.suffix(5) == [
                "segmentBytes=2000000", "segmentMilliseconds=unlimited",
                "cleanupPolicy=compact,delete", "compressionType=zstd:7", "",
            ], "\(described)")
        #expect(try run("alter", "--set", "minCleanableDirtyRatio=0.25", "--json").status == 0)
        let json = try run("describe", "--json").output
        for member in [
            "\"configuration\":{", "\"segmentBytes\":2000000", "\"segmentMilliseconds\":null",
            "\"minCleanableDirtyRatio\":0.25", "\"compressionType\":\"zstd:7\"",
        ] { #expect(json.contains(member), "\(json)") }
        // Back to how it began: each line is a setting again.
        let names = altered.lines.compactMap { $0.split(separator: "=").first.map(String.init) }
        let reset = try CommandProcess.run(
            ["topic", "alter", database, "events"] + names.flatMap { ["--unset", $0] })
        #expect(reset.status == 0, "\(reset)")
        #expect(try run("describe").lines.count == 4)
        let again = try CommandProcess.run(
            ["topic", "alter", database, "events"]
                + altered.lines.filter { !$0.isEmpty }.flatMap { ["--set", String($0)] })
        #expect(again.output == altered.output)
    }

    @Test func printsOneObject() throws {
        try create()
        let outcome = try run("alter", "--set", "tailBytes=0", "--json")
        #expect(outcome.output.hasPrefix("{\"topic\":\"events\",\"configuration\":{"))
        #expect(outcome.output.contains("\"tailBytes\":0") && outcome.lines.count == 2)
    }

    /// A setting that is in force, not only printed.
    @Test func whatIsAlteredHolds() throws {
        try create()
        let lines = String(repeating: "k=the same words again and again\n", count: 200)
        func bytes() throws -> Int {
            let appended = try CommandProcess.run(
                ["topic", "append", database, "events", "--key-separator", "="],
                input: Array(lines.utf8))
            try #require(appended.status == 0, "\(appended)")
            let report = try CommandProcess.run("topic", "inspect", database, "events").output
            return report.split(separator: "\n").filter { $0.contains(" batch ") }.count {
                $0.contains("codec=gzip")
            }
        }
        #expect(try bytes() == 0)
        #expect(try run("alter", "--set", "compressionType=gzip").status == 0)
        #expect(try bytes() > 0)
    }

    @Test(arguments: [
        (["--set", "color=red"], "found \"color\""),
        (["--set", "segmentBytes"], "--set: expected name=value"),
        (["--set", "segmentBytes="], "segmentBytes: expected a number, found \"\""),
        (["--set", "compressionType=zstd:"], "compressionType: expected producer"),
        (["--set", "compressionType=snappy:2"], "compressionType: expected producer"),
        (["--set", "compressionType=brotli"], "found \"brotli\""),
        (["--set", "messageTimestampType=never"], "expected createTime or logAppendTime"),
        (["--unset", "color"], "found \"color\""), ([], "expected --set name=value or --unset"),
        (["--set", "tailBytes=1", "--set", "tailBytes=2"], "tailBytes: expected one"),
        (["--set", "tailBytes=1", "--unset", "tailBytes"], "tailBytes: expected one"),
    ]) func refusesWhatMakesNoSense(options: [String], complaint: String) throws {
        try create()
        let before = try run("describe", "--json").output
        let outcome = try CommandProcess.run(["topic", "alter", database, "events"] + options)
        #expect(outcome.status == 64 && outcome.complaint.contains(complaint), "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(try run("describe", "--json").output == before)
    }

    @Test func refusesWhatCannotWork() throws {
        try create()
        let before = try run("describe", "--json").output
        for (setting, complaint) in [
            ("segmentBytes=10", "segmentBytes: expected"),
            ("minCleanableDirtyRatio=nan", "minCleanableDirtyRatio: expected 0 to 1"),
            ("compressionType=gzip:11", "compressionType: expected a level"),
            ("retentionMilliseconds=-1", "retentionMilliseconds: expected 0"),
        ] {
            // What comes before it in the same command does not hold either.
            let outcome = try run("alter", "--set", "tailBytes=7", "--set", setting)
            #expect(outcome.status == 1 && outcome.complaint.contains(complaint), "\(outcome)")
        }
        #expect(try run("describe", "--json").output == before)
        let unknown = try CommandProcess.run(
            "topic", "alter", database, "nope", "--set", "tailBytes=1")
        #expect(unknown.status == 1 && unknown.complaint.contains("no topic \"nope\""))
        let internalTopic = try CommandProcess.run(
            "topic", "alter", database, "__consumer_offsets", "--set", "tailBytes=1")
        #expect(internalTopic.status == 1 && internalTopic.complaint.contains("database's own"))
    }

    @Test func appendingCreatesAsManyPartitionsAsAreAskedFor() throws {
        func append(_ options: String...) throws -> CommandProcess.Outcome {
            try CommandProcess.run(
                ["topic", "append", database, "events"] + options, input: Array("k=v\n".utf8))
        }
        #expect(try append("--create", "--partitions", "3").status == 0)
        #expect(try run("offsets").lines.count == 4)
        #expect(try append("--create", "--partitions", "3").status == 0)
        let other = try append("--create", "--partitions", "2")
        #expect(other.status == 1 && other.complaint.contains("3 partitions; expected 2"))
        #expect(try append("--partitions", "3").status == 64)
        for count in ["0", "-1", "1025", "x"] {
            #expect(try append("--create", "--partitions", count).status == 64)
        }
    }
}
