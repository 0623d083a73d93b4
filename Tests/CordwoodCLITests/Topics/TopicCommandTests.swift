import TestSupport
import Testing

@testable import CordwoodCLI

@Suite struct TopicCommandTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    private func append(_ text: String, _ options: String...) throws -> CommandProcess.Outcome {
        try CommandProcess.run(
            ["topic", "append", database, "events", "--create", "--print-offsets"] + options,
            input: Array(text.utf8))
    }

    private func read(_ options: String...) throws -> CommandProcess.Outcome {
        try CommandProcess.run(["topic", "read", database, "events"] + options)
    }

    @Test func printsAnOffsetForEachLine() throws {
        let first = try append("one\ntwo\n\nfour")
        #expect(first.status == 0 && first.complaint.isEmpty)
        #expect(first.output == "0 0\n0 1\n0 2\n0 3\n")
        #expect(try append("five\n").output == "0 4\n")
        #expect(try read().output == "one\ntwo\n\nfour\nfive\n")
        #expect(try read("--from", "3").output == "four\nfive\n")
        #expect(try read("--from", "1", "--limit", "2").output == "two\n\n")
        #expect(try read("--limit", "0").output == "")
        #expect(try read("--from", "5", "--partition", "0").output == "")
    }

    @Test func takesNothingFromAnEmptyInput() throws {
        let outcome = try append("")
        #expect(outcome.status == 0 && outcome.output.isEmpty)
        #expect(try read().output == "")
    }

    @Test func keepsBytesThatAreNoText() throws {
        let bytes: [UInt8] = [0xFF, 0x00, 0x22, 0x0D, 0x0A]
        let outcome = try CommandProcess.run(
            ["topic", "append", database, "events", "--create"], input: bytes)
        #expect(outcome.status == 0 && outcome.output.isEmpty)
        #expect(try read("--json").output.contains("\"valueBase64\":\"/wAiDQ==\""))
    }

    @Test func splitsKeys() throws {
        _ = try append("k::v::w\nbare\n::empty\n", "--key-separator", "::")
        let lines = try read("--json").lines
        #expect(lines[0].contains("\"key\":\"k\",\"value\":\"v::w\",\"headers\":[]"))
        #expect(lines[1].contains("\"key\":null,\"value\":\"bare\""))
        #expect(lines[2].contains("\"key\":\"\",\"value\":\"empty\""))
        #expect(lines[0].hasPrefix("{\"partition\":0,\"offset\":0,\"timestamp\":"))
    }

    /// Many appends are on their way at once, over several partitions; each line's offset leads to
    /// that line, and within a partition lines keep their order.
    @Test(arguments: ["durable", "written", "memory"])
    func keepsOrderOverPartitions(acknowledge: String) throws {
        let lines = (0..<30_000).map { "key\($0 % 61)|\($0)" }
        let outcome = try append(
            lines.map { $0 + "\n" }.joined(), "--partitions", "4", "--key-separator", "|",
            "--acknowledge", acknowledge)
        #expect(outcome.status == 0, "\(outcome.complaint)")
        var expected = [[String]](repeating: [], count: 4)
        for (line, position) in zip(lines, outcome.lines) {
            let numbers = position.split(separator: " ").compactMap { Int($0) }
            try #require(numbers.count == 2)
            try #require(numbers[1] == expected[numbers[0]].count, "out of order at \(line)")
            expected[numbers[0]].append(String(line.split(separator: "|")[1]))
        }
        #expect(expected.allSatisfy { !$0.isEmpty })
        for (partition, values) in expected.enumerated() {
            let found = try read("--partition", "\(partition)").output
            #expect(found == values.map { $0 + "\n" }.joined())
        }
    }

    /// The acknowledgement of a line is there before the next one is sent.
    @Test func acknowledgesAtOnce() throws {
        let process = try CommandProcess(
            ["topic", "append", database, "events", "--create", "--print-offsets"])
        for offset in 0..<5 {
            process.send("line \(offset)\n")
            #expect(try process.outputLines(offset + 1).last == "0 \(offset)")
        }
        #expect(try process.finish().status == 0)
    }

    @Test func endsCleanlyAtCtrlC() throws {
        let process = try CommandProcess(
            ["topic", "append", database, "events", "--create", "--print-offsets"])
        process.send("one\ntwo\n")
        _ = try process.outputLines(2)
        process.signalled(2)
        let outcome = try process.finish(closingInput: false)
        #expect(outcome.status == 130 && outcome.output == "0 0\n0 1\n" && outcome.complaint == "")
        #expect(try read().output == "one\ntwo\n")
    }

    @Test func followsUntilCtrlC() throws {
        _ = try append("one\ntwo\n", "--partitions", "2")
        let process = try CommandProcess(["topic", "read", database, "events", "--follow"])
        #expect(try process.outputLines(2) == ["one", "two"])
        process.signalled(15)
        #expect(try process.finish().status == 143)
        #expect(try read("--follow", "--limit", "1").output == "one\n")
    }

    /// As `cordwood topic read … | head` ends.
    @Test func endsWhenNobodyReads() throws {
        _ = try append(String(repeating: String(repeating: "x", count: 999) + "\n", count: 4000))
        let process = try CommandProcess(["topic", "read", database, "events"])
        _ = try process.outputLines(1)
        process.closeOutput()
        let outcome = try process.finish()
        #expect(outcome.status == 141 && outcome.complaint.isEmpty)
    }

    @Test func createsListsAndDescribes() throws {
        let created = try CommandProcess.run(
            "topic", "create", database, "orders", "--partitions", "3")
        #expect(created.status == 0 && created.output.isEmpty)
        _ = try append("one\n")
        let list = try CommandProcess.run("topic", "list", database)
        #expect(list.output == "events\norders\n")
        let described = try CommandProcess.run("topic", "describe", database, "orders", "--json")
        #expect(
            described.output.hasPrefix("{\"topic\":\"orders\",\"partitions\":[{\"partition\":0,"))
        #expect(described.output.contains("\"partition\":2,\"startOffset\":0,\"endOffset\":0"))
        let table = try CommandProcess.run("topic", "describe", database, "events")
        #expect(table.lines.count == 3 && table.lines[0].contains("durable"))
    }

    @Test func verifiesAndFindsDamage() throws {
        _ = try append((0..<2000).map { "line \($0)\n" }.joined())
        let sound = try CommandProcess.run("topic", "verify", database, "events")
        #expect(sound.status == 0 && sound.output.contains("every checksum holds"))
        #expect(sound.output.contains("2,000 records"))

        let segment = try #require(
            folder.snapshot("database").max {
                $0.value.count(where: { $0 != 0 }) < $1.value.count(where: { $0 != 0 })
            })
        var bytes = segment.value
        // In the middle of the records, far from what the header page says.
        let middle = try #require(bytes.firstRange(of: Array("line 1000".utf8)))
        bytes[middle.lowerBound] ^= 1
        _ = folder.write(String(segment.key.dropFirst(folder.path.count + 1)), bytes)

        let damaged = try CommandProcess.run("topic", "verify", database)
        #expect(damaged.status == 2, "\(damaged)")
        #expect(damaged.output.contains("DAMAGED") && damaged.complaint.contains("damage"))
        let json = try CommandProcess.run("topic", "verify", database, "--json")
        #expect(json.status == 2 && json.output.contains("\"isSound\":false"))
    }
}
