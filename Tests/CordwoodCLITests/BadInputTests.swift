import TestSupport
import Testing

/// What a person or a script may get wrong: the command ends with a status that is not 0, says what
/// it expected and found, and leaves the database as it was.
@Suite struct BadInputTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    private func refused(
        _ arguments: [String], input: [UInt8] = [], status: Int32 = 1, saying words: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let outcome = try CommandProcess.run(arguments, input: input)
        #expect(outcome.status == status, "\(outcome)", sourceLocation: sourceLocation)
        #expect(outcome.output.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
        for word in words {
            #expect(
                outcome.complaint.contains(word), "\(outcome.complaint)",
                sourceLocation: sourceLocation)
        }
    }

    /// A database with a topic of two records and a collection of two points, closed.
    private func prepare() throws {
        let appended = try CommandProcess.run(
            "topic", "append", database, "events", "--create", input: "one\ntwo\n")
        try #require(appended.status == 0)
        let created = try CommandProcess.run(
            "collection", "create", database, "points", "--dimensions", "2", "--metric", "cosine")
        try #require(created.status == 0)
        let imported = try CommandProcess.run(
            "collection", "import", database, "points",
            folder.write("good.npy", NumpyFile.floats([[1, 0], [0, 1]])))
        try #require(imported.status == 0)
    }

    /// What the database says of itself.
    private func contents() throws -> String {
        try [
            ["topic", "list", database], ["topic", "describe", database, "events"],
            ["topic", "read", database, "events", "--json"],
            ["collection", "describe", database, "points"],
            ["collection", "search", database, "points", "--like", "0", "--json"],
        ].map { try CommandProcess.run($0).output }.joined()
    }

    private func unchanged(_ body: () throws -> Void) throws {
        try prepare()
        let before = try contents()
        let files = folder.snapshot("database").keys.sorted()
        try body()
        #expect(try contents() == before)
        #expect(folder.snapshot("database").keys.sorted() == files)
        #expect(try CommandProcess.run("topic", "verify", database).status == 0)
    }

    @Test func filesOfVectorsThatDoNotFit() throws {
        try unchanged {
            func refusedImport(_ name: String, _ bytes: [UInt8], _ words: [String]) throws {
                let file = folder.write(name, bytes)
                let outcome = try CommandProcess.run(
                    "collection", "import", database, "points", file)
                #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
                for word in [name] + words {
                    #expect(outcome.complaint.contains(word), "\(outcome.complaint)")
                }
            }
            let wide = NumpyFile.floats([[1, 2, 3]])
            try refusedImport("wide.npy", wide, ["expected 2 dimensions", "found 3"])
            try refusedImport("words.npy", Array("hello".utf8), ["expected the magic"])
            let good = NumpyFile.floats([[1, 2], [3, 4]])
            try refusedImport("cut.npy", Array(good.dropLast(3)), ["promises 2 rows", "found 13"])
            try refusedImport("vectors.txt", good, [".fvecs"])
            try refused(
                ["collection", "search", database, "points", "--vector-file", folder("wide.npy")],
                saying: "expected 2 dimensions", "found 3")
            try refused(
                ["collection", "import", database, "points", folder("missing.npy")],
                saying: "missing.npy", "No such file")
        }
    }

    @Test func vectorsThatAreNoVectors() throws {
        try unchanged {
            for (name, row) in [("nan", [Float.nan, 1]), ("infinite", [1, -Float.infinity])] {
                try refused(
                    [
                        "collection", "import", database, "points",
                        folder.write("\(name).npy", NumpyFile.floats([row])),
                    ], saying: "invalid vector")
            }
        }
    }

    @Test func labelsAndIDsThatDoNotFit() throws {
        try unchanged {
            let good = folder("good.npy")
            let one = folder.write("one", "label\n")
            try refused(
                ["collection", "import", database, "points", good, "--labels", one],
                saying: "expected one for each of 2 rows", "found 1")
            let ids = folder.write("ids", "1\nminus\n")
            try refused(
                ["collection", "import", database, "points", good, "--ids", ids],
                saying: "line 2", "minus")
        }
    }

    @Test func unknownNames() throws {
        try unchanged {
            for action in ["describe", "append", "read", "verify"] {
                try refused(["topic", action, database, "nope"], saying: "no topic \"nope\"")
            }
            try refused(
                ["collection", "describe", database, "nope"], saying: "no collection \"nope\"")
            try refused(
                ["collection", "search", database, "points", "--like", "99"],
                saying: "no point 99")
            try refused(
                ["topic", "read", database, "events", "--partition", "1"],
                saying: "no partition 1", "expected 0 to 0")
            try refused(
                ["topic", "read", database, "events", "--partition", "0", "--from", "3"],
                saying: "no offset 3", "expected 0 to 2")
        }
    }

    @Test func namesThatExist() throws {
        try unchanged {
            try refused(["topic", "create", database, "events"], saying: "exists already")
            try refused(
                [
                    "collection", "create", database, "points", "--dimensions", "3", "--metric",
                    "l2",
                ], saying: "exists already")
            try refused(
                ["topic", "append", database, "events", "--create", "--partitions", "2"],
                saying: "exists with 1 partition;", "expected 2")
        }
    }

    @Test(arguments: [
        "..", ".", "/", "a/b", "../events", "", "new\nline", String(repeating: "x", count: 300),
        "é",
    ])
    func names(name: String) throws {
        try prepare()
        let before = folder.snapshot("").keys.sorted()
        try refused(["topic", "create", database, name], saying: "invalid name")
        try refused(
            ["collection", "create", database, name, "--dimensions", "2", "--metric", "l2"],
            saying: "invalid name")
        #expect(folder.snapshot("").keys.sorted() == before)
    }

    @Test func foldersThatAreNoDatabase() throws {
        _ = folder.write("precious", "data")
        let before = folder.snapshot("")
        for path in [folder.path, folder("missing"), folder("precious")] {
            for arguments in [
                ["topic", "list", path], ["topic", "append", path, "events"],
                ["topic", "verify", path], ["collection", "describe", path, "points"],
            ] {
                try refused(arguments, saying: "not a database", "Create one with")
            }
        }
        #expect(folder.snapshot("") == before)
    }

    /// What `--create` must not do: take over a folder that holds something else.
    @Test func foldersThatHoldSomethingElse() throws {
        _ = folder.write("precious", "data")
        let before = folder.snapshot("")
        try refused(
            ["topic", "append", folder.path, "events", "--create"], saying: "not a database")
        try refused(["topic", "create", folder("precious"), "events"], saying: "not a database")
        #expect(folder.snapshot("") == before)
    }

    @Test func formatsOfTheFuture() throws {
        try prepare()
        var catalog = TemporaryDirectory.contents(of: folder("database/CORDWOOD"))
        // The version stands after the eight bytes that name the format; the header ends with a
        // checksum, which a newer version would have right.
        catalog[8] += 1
        let checksum = crc32c(catalog[..<28])
        for byte in 0..<4 { catalog[28 + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * byte)) }
        _ = folder.write("database/CORDWOOD", catalog)
        // The lock's file says who held it last.
        let lock = folder("database/LOCK")
        let before = folder.snapshot("database").filter { $0.key != lock }
        try refused(
            ["topic", "list", database], saying: "newer format", "expected format version 2")
        #expect(folder.snapshot("database").filter { $0.key != lock } == before)
    }

    @Test func databasesThatAnotherProcessHolds() throws {
        try prepare()
        let holder = try CommandProcess(
            ["topic", "append", database, "events", "--print-offsets"])
        holder.send("three\n")
        #expect(try holder.outputLines(1) == ["0 2"])
        try refused(["topic", "read", database, "events"], saying: "open elsewhere", "process")
        try refused(["topic", "append", database, "events"], saying: "open elsewhere")
        holder.send("four\n")
        #expect(try holder.finish().output == "0 2\n0 3\n")
    }

    @Test func recordsThatAreTooLarge() throws {
        try unchanged {
            let large = [UInt8](repeating: UInt8(ascii: "x"), count: 1_048_580)
            try refused(
                ["topic", "append", database, "events"], input: large,
                saying: "too large", "1048588")
            try refused(
                ["topic", "append", database, "events"], input: large + large,
                saying: "line 1", "too long", "1048588")
        }
    }

    /// The lines before one that is too long are kept, and their offsets printed.
    @Test func recordsThatAreTooLargeAmongOthers() throws {
        try prepare()
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 3_000_000)
        let outcome = try CommandProcess.run(
            ["topic", "append", database, "events", "--print-offsets"],
            input: Array("three\nfour\n".utf8) + long + Array("\nfive\n".utf8))
        #expect(outcome.status == 1 && outcome.output == "0 2\n0 3\n")
        #expect(outcome.complaint.contains("line 3 of standard input"))
        let read = try CommandProcess.run("topic", "read", database, "events")
        #expect(read.output == "one\ntwo\nthree\nfour\n")
    }

    @Test(arguments: [
        ["topic", "create", "x", "t", "--partitions", "0"],
        ["topic", "create", "x", "t", "--partitions", "many"],
        ["topic", "append", "x", "t", "--partitions", "2"],
        ["topic", "append", "x", "t", "--acknowledge", "maybe"],
        ["topic", "append", "x", "t", "--key-separator", ""],
        ["topic", "read", "x", "t", "--from", "-1"],
        ["topic", "read", "x", "t", "--limit", "-1"],
        ["topic", "read", "x"], ["topic", "burn"], ["--what"],
        ["collection", "create", "x", "c", "--dimensions", "0", "--metric", "l2"],
        ["collection", "create", "x", "c", "--dimensions", "2147483648", "--metric", "l2"],
        ["collection", "create", "x", "c", "--dimensions", "3", "--metric", "l3"],
        ["collection", "search", "x", "c"],
        ["collection", "search", "x", "c", "--like", "1", "--limit", "0"],
        ["collection", "search", "x", "c", "--like", "-1"],
        ["collection", "search", "x", "c", "--like", "1", "--vector-file", "y"],
    ])
    func usage(arguments: [String]) throws {
        let path = folder("x")
        try refused(arguments.map { $0 == "x" ? path : $0 }, status: 64)
        #expect(folder.snapshot("").isEmpty)
    }
}

/// CRC-32C, a bit at a time.
private func crc32c(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 {
            let carry = crc & 1 == 1
            crc >>= 1
            if carry { crc ^= 0x82F6_3B78 }
        }
    }
    return ~crc
}
