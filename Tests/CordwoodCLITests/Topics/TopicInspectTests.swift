import TestSupport
import Testing

@testable import Cordwood
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

    /// A topic with a committed, an aborted and an open transaction and an idempotent producer.
    private func fillWithTransactions() async throws {
        let database = try await Database.open(at: database)
        let topic = try await database.topic("events")
        let producer = try await database.producer(transactionalID: "till")
        for (text, commits) in [("sold", true), ("returned", false)] {
            try await producer.begin()
            _ = try await producer.append([Record(text)], to: topic)
            if commits { try await producer.commit() } else { try await producer.abort() }
        }
        let plain = ProducerSequence(producerID: 900, epoch: 3, baseSequence: 7)
        _ = try await topic[0].log.append(
            [Record("counted")], producer: plain, acknowledge: .durable)
        try await topic[0].log.roll()
        let open = ProducerSequence(
            producerID: 901, epoch: 0, baseSequence: 0, isTransactional: true)
        _ = try await topic[0].log.append(
            [Record("in the cart")], producer: open, acknowledge: .durable)
        try await database.close()
    }

    @Test func printsProducersAndTransactions() async throws {
        try await fillWithTransactions()
        let before = folder.snapshot("database")
        let plain = try inspect("events")
        #expect(plain.status == 0, "\(plain)")
        for kind in ["transaction", "producer", "producerSnapshot", "timeEntry"] {
            #expect(!plain.output.contains(" \(kind) "), "\(kind)")
        }
        let found = try inspect("events", "--producers", "--transactions", "--index")
        #expect(found.status == 0, "\(found)")
        let log = "topics/events/0/00000000000000000000"
        let second = "topics/events/0/00000000000000000005"
        for words in [
            "transaction state=committed producerID=0 producerEpoch=0 coordinatorEpoch=0 "
                + "firstOffset=0 lastOffset=1 lastStableOffset=2",
            "transaction state=aborted producerID=0 producerEpoch=0 coordinatorEpoch=0 "
                + "firstOffset=2 lastOffset=3 lastStableOffset=4",
            "topics/events/0 transaction state=open producerID=901 producerEpoch=0 firstOffset=5",
            "\(second).snapshot@0 producerSnapshot offset=5 segment=5 producers=2 aborted=0",
            "\(second).snapshot@64 producer producerID=0 epoch=0 lastSequence=1 "
                + "batches=0-0@0,1-1@2 coordinatorEpoch=0",
            "producer producerID=900 epoch=3 lastSequence=7 batches=7-7@4",
            "topics/events/0 producer producerID=901 epoch=0 lastSequence=0 batches=0-0@5 "
                + "transactionStart=5",
            "topics/events/0 producers offset=6 producers=3 complete=true",
            "\(log).timeindex@40 timeEntry timestamp=-1 offset=0",
            "\(log).txnindex@0 transactionIndex entries=1 end=5 lastStableOffset=5",
            "\(log).txnindex@64 abortedTransaction producerID=0 firstOffset=2 lastOffset=3",
        ] { #expect(found.output.contains(words), "\(words)\n\(found.output)") }
        let json = try inspect("events", "--producers", "--transactions", "--index", "--json")
        for words in [
            "{\"kind\":\"transaction\",\"path\":\"topics/events/0\",\"state\":\"open\","
                + "\"producerID\":901",
            "{\"kind\":\"timeEntry\",\"path\":\"\(log).timeindex\",\"at\":40,\"timestamp\":-1",
            "{\"kind\":\"abortedTransaction\",\"path\":\"\(log).txnindex\",\"at\":64,"
                + "\"producerID\":0,\"firstOffset\":2",
        ] { #expect(json.output.contains(words), "\(words)\n\(json.output)") }
        #expect(folder.snapshot("database") == before)
    }

    @Test(arguments: ["index", "timeindex", "txnindex", "snapshot"])
    func whatLiesBesideTheSegmentsIsVerified(suffix: String) async throws {
        try await fillWithTransactions()
        let name = suffix == "snapshot" ? "00000000000000000005" : "00000000000000000000"
        let file = "database/topics/events/0/\(name).\(suffix)"
        var bytes = TemporaryDirectory.contents(of: folder(file))
        bytes[bytes.count - 1] ^= 1
        folder.write(file, bytes)
        let verified = try CommandProcess.run("topic", "verify", database)
        #expect(verified.status == 2 && verified.output.contains(".\(suffix)"), "\(verified)")
        // All else is shown.
        let found = try inspect("events", "--records", "--producers", "--transactions")
        #expect(found.status == 2 && found.output.contains(" damage problem="), "\(found)")
        #expect(found.output.contains("value=\"in the cart\""))
        #expect(found.output.contains("transaction state=open producerID=901"))
        #expect(TemporaryDirectory.contents(of: folder(file)) == bytes)
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
