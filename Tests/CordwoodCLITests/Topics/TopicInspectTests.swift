import TestSupport
import Testing

@testable import CordwoodCLI

@Suite struct TopicInspectTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    private func inspect(_ options: String...) throws -> CommandProcess.Outcome {
        try CommandProcess.run(["topic", "inspect", database] + options)
    }

    private func fill(_ text: String, topic: String = "events", partitions: Int = 1) throws {
        let outcome = try CommandProcess.run(
            [
                "topic", "append", database, topic, "--create", "--partitions", "\(partitions)",
                "--key-separator", "=",
            ], input: Array(text.utf8))
        try #require(outcome.status == 0, "\(outcome.complaint)")
    }

    /// Inverts a bit of the segment that holds these bytes.
    private func damage(_ needle: String) throws {
        let segment = try #require(
            folder.snapshot("database").first { $0.value.firstRange(of: Array(needle.utf8)) != nil }
        )
        var bytes = segment.value
        bytes[try #require(bytes.firstRange(of: Array(needle.utf8))).lowerBound] ^= 1
        folder.write(String(segment.key.dropFirst(folder.path.count + 1)), bytes)
    }

    @Test func printsWhatTheFilesHold() throws {
        try fill("a=oak tree\nb=birch\n")
        let before = folder.snapshot("database")
        let plain = try inspect("events")
        #expect(plain.status == 0 && plain.complaint.isEmpty)
        let segment = "topics/events/0/00000000000000000000.log"
        #expect(plain.output.contains("\(segment)@0 segment state=active baseOffset=0"))
        #expect(plain.output.contains("\(segment)@4096 batch firstOffset=0 "))
        #expect(plain.output.contains("topics/events/0/manifest@32 edit sequence=0 edit=add"))
        #expect(!plain.output.contains(" record "))
        let records = try inspect("events", "--records", "--index")
        #expect(records.output.contains(" key=\"a\" value=\"oak tree\""))
        #expect(records.output.contains("index@0 index pages=1 entries=1"))
        let json = try inspect("events", "--records", "--json")
        #expect(json.output.contains("\"key\":\"b\",\"value\":\"birch\""))
        #expect(json.lines.dropLast().allSatisfy { $0.hasPrefix("{\"kind\":\"") })
        #expect(folder.snapshot("database") == before)
    }

    @Test func picksPartitionsAndSegments() throws {
        try fill((0..<50).map { "\($0)=v\n" }.joined(), partitions: 2)
        #expect(try inspect("events").output.contains("events/0/"))
        let second = try inspect("events", "--partition", "1")
        #expect(second.output.contains("events/1/") && !second.output.contains("events/0/"))
        #expect(try !inspect("events", "--segment", "7").output.contains(" segment state"))
        let missing = try inspect("events", "--partition", "2")
        #expect(missing.status == 1 && missing.complaint.contains("expected 0 to 1"))
        let unknown = try inspect("orders")
        #expect(unknown.status == 1 && unknown.complaint.contains("has no topic \"orders\""))
        #expect(try inspect("--partition", "1").status == 64)
    }

    @Test func goesOnBehindDamage() throws {
        // Two appends, so that there are two batches.
        try fill("k=first batch\n")
        try fill("k=second batch\n")
        try fill("k=v\n", topic: "other")
        try damage("first batch")
        let before = folder.snapshot("database")
        let found = try inspect("--records")
        #expect(found.status == 2 && found.complaint.contains("damage was found"))
        #expect(
            found.output.contains("00000000000000000000.log@4096 damage firstOffset=0 lastOffset=0")
        )
        #expect(found.output.contains("value=\"second batch\""))
        #expect(found.output.contains("topics/other/0"))
        #expect(try CommandProcess.run("topic", "verify", database).status == 2)
        #expect(try CommandProcess.run("topic", "verify", database, "other").status == 0)
        #expect(folder.snapshot("database") == before)
    }

    @Test func worksWhileAnotherProcessHasTheDatabaseOpen() throws {
        let writer = try CommandProcess(
            ["topic", "append", database, "events", "--create", "--print-offsets"])
        for number in 0..<3 {
            writer.send("line \(number)\n")
            _ = try writer.outputLines(number + 1)
            let found = try inspect("events", "--records")
            #expect(found.status == 0, "\(found)")
            #expect(found.output.contains("value=\"line \(number)\""))
            let verified = try CommandProcess.run("topic", "verify", database, "events")
            #expect(verified.status == 0 && verified.output.contains("\(number + 1) record"))
        }
        #expect(try writer.finish().status == 0)
    }

    /// What a kill leaves is no damage, and looking at it does not repair it.
    @Test func verifyChangesNothingAfterAKill() throws {
        let writer = try CommandProcess(
            ["topic", "append", database, "events", "--create", "--print-offsets"])
        writer.send("one\ntwo\n")
        _ = try writer.outputLines(2)
        writer.signalled(9)
        _ = try writer.finish()
        let before = folder.snapshot("database")
        let verified = try CommandProcess.run("topic", "verify", database)
        #expect(verified.status == 0, "\(verified)")
        #expect(try inspect().status == 0)
        #expect(folder.snapshot("database") == before)
    }

    @Test func aDamagedCatalogAndManifestAreTold() throws {
        try fill("k=value\n")
        for file in ["database/CORDWOOD", "database/topics/events/0/manifest"] {
            let sound = TemporaryDirectory.contents(of: folder(file))
            var bytes = sound
            bytes[20] ^= 1
            folder.write(file, bytes)
            let found = try inspect("--records")
            #expect(found.status == 2, "\(file): \(found)")
            #expect(found.output.contains("value=\"value\""), "\(file)")
            #expect(try CommandProcess.run("topic", "verify", database).status == 2)
            folder.write(file, sound)
        }
        #expect(try inspect().status == 0)
    }
}
