import Cordwood
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct CollectionSealTests {
    private let folder = TemporaryDirectory()
    private var database: String { folder("database") }

    private func create(dimensions: Int = 2, _ options: String...) throws {
        try create(dimensions: dimensions, options)
    }

    private func create(dimensions: Int, _ options: [String]) throws {
        let created = try CommandProcess.run(
            [
                "collection", "create", database, "points", "--dimensions", "\(dimensions)",
                "--metric", "l2",
            ] + options)
        #expect(created.status == 0, "\(created.complaint)")
    }

    /// Points on a line, the id of each its place.
    private func line(_ name: String, count: Int, dimensions: Int = 2) -> String {
        let rest = [Float](repeating: 0, count: dimensions - 1)
        return folder.write(name, NumpyFile.floats((0..<count).map { [Float($0)] + rest }))
    }

    private func ids(_ options: String...) throws -> [Int] {
        let found = try CommandProcess.run(["collection", "search", database, "points"] + options)
        #expect(found.status == 0, "\(found.complaint)")
        return found.lines.compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }
    }

    /// A member of `describe --json`, as it is printed.
    private func described(_ member: String) throws -> String? {
        let outcome = try CommandProcess.run(
            "collection", "describe", database, "points", "--json")
        #expect(outcome.status == 0, "\(outcome.complaint)")
        guard let start = outcome.output.firstRange(of: "\"\(member)\":")?.upperBound else {
            return nil
        }
        return String(outcome.output[start...].prefix { $0 != "," && $0 != "}" })
    }

    @Test func importSealsAndSearchUsesTheIndex() throws {
        try create(
            "--index", "hnsw", "--quantization", "sq4", "--neighbors", "6", "--ef-construction",
            "40")
        let imported = try CommandProcess.run(
            "collection", "import", database, "points", line("points.npy", count: 600),
            "--threads", "2")
        #expect(imported.status == 0 && imported.output.isEmpty)
        #expect(imported.complaint.contains("600 points imported"))
        #expect(imported.complaint.contains("600 points in 1 segment"))
        #expect(try described("index") == "\"hnsw\"")
        #expect(try described("quantization") == "\"sq4\"")
        #expect(try described("head") == "0")
        #expect(try described("vectors") == "600")
        for effort in [["--effort", "40"], ["--recall", "0.99"], ["--exact"]] {
            let found = try CommandProcess.run(
                ["collection", "search", database, "points", "--like", "100", "--limit", "2"]
                    + effort)
            #expect(found.lines[0].split(separator: " ") == ["99", "1.00000"])
            #expect(found.lines[1].split(separator: " ") == ["101", "1.00000"])
        }
        // A second import is a second segment, until both are joined.
        _ = try CommandProcess.run(
            "collection", "import", database, "points", line("few.npy", count: 20))
        let plain = try CommandProcess.run("collection", "describe", database, "points")
        let segments = plain.lines.map { $0.split(separator: " ").prefix(3) }
            .filter { $0.count == 3 && UInt64($0[0]) != nil }
        #expect(segments.map { Array($0.dropFirst()) } == [["600", "580"], ["20", "20"]])
        let sealed = try CommandProcess.run("collection", "seal", database, "points", "--all")
        #expect(sealed.status == 0)
        #expect(sealed.complaint.contains("600 points in 1 segment"), "\(sealed.complaint)")
        let joined = try #require(UInt64(try described("segment") ?? ""))
        #expect(segments.allSatisfy { UInt64($0[0])! < joined })
        #expect(try described("live") == "600")
    }

    /// The memory of an index on disk is as it was asked for, also when the collection is opened again.
    @Test func capsOfMemoryAreKept() throws {
        try create("--index", "disk", "--memory-cap", "30", "--build-memory-cap", "50")
        #expect(try described("memoryCapBytes") == "30000000")
        #expect(try described("buildMemoryCapBytes") == "50000000")
        let plain = try CommandProcess.run("collection", "describe", database, "points")
        #expect(
            plain.lines.contains {
                $0.split(separator: " ").map(String.init) == ["buildMemoryCapBytes", "50000000"]
            })
        // A segment is built with it: this much is too little for so many.
        let other = folder("other")
        let created = try CommandProcess.run(
            "collection", "create", other, "points", "--dimensions", "2", "--metric", "l2",
            "--index", "disk", "--build-memory-cap", "1")
        #expect(created.status == 0, "\(created.complaint)")
        let imported = try CommandProcess.run(
            "collection", "import", other, "points", line("points.npy", count: 30_000))
        #expect(imported.status != 0 && imported.complaint.contains("memory"))
    }

    @Test func whatCannotBeIsRefused() throws {
        for (options, words) in [
            (["--index", "ivf", "--lists", "0"], "lists"),
            (["--index", "ivf", "--neighbors", "8"], "--neighbors"),
            (["--index", "ivf", "--quantization", "sq4"], "quantization"),
            (["--index", "disk", "--memory-cap", "0"], "memoryCapBytes"),
            (
                ["--index", "disk", "--memory-cap", "9999999999999999"],
                "--memory-cap: expected less"
            ),
            (["--index", "disk", "--build-memory-cap", "0"], "buildMemoryCapBytes"),
            (
                ["--index", "disk", "--build-memory-cap", "9999999999999999"],
                "--build-memory-cap: expected less"
            ),
            (["--index", "hnsw", "--build-memory-cap", "9"], "--build-memory-cap is for"),
            (["--index", "disk", "--quantization", "sq8"], "--quantization"),
            (["--index", "hnsw", "--lists", "8"], "--lists"),
            (["--index", "hnsw", "--quantization", "pq4"], "quantization"),
            (["--index", "flat", "--quantization", "sq8"], "--quantization"),
            (["--index", "flat", "--neighbors", "9"], "--neighbors"),
            (["--index", "hnsw", "--seal-after", "0"], "sealAfter"),
            (["--index", "hnsw", "--neighbors", "1"], "neighbors"),
        ] {
            let outcome = try CommandProcess.run(
                ["collection", "create", database, "points", "--dimensions", "2", "--metric", "l2"]
                    + options)
            #expect(outcome.status == 64 && outcome.complaint.contains(words), "\(options)")
        }
        // Nothing was made.
        #expect(access(database, F_OK) != 0)
        try create("--index", "hnsw")
        for options in [
            ["--effort", "0"], ["--recall", "1.5"], ["--recall", "0.9", "--exact"],
            ["--effort", "9", "--recall", "0.9"],
        ] {
            let outcome = try CommandProcess.run(
                ["collection", "search", database, "points", "--like", "1"] + options)
            #expect(outcome.status == 64, "\(options)")
        }
    }

    /// An index, and how long after its first segment was named the command is killed.
    private static let kills: [(index: [String], delayMicroseconds: UInt32)] = [
        (["hnsw", "--neighbors", "8", "--ef-construction", "100"], 0),
        (["hnsw", "--neighbors", "8", "--ef-construction", "100"], 20_000),
        (["hnsw", "--neighbors", "8", "--ef-construction", "100"], 60_000),
        (["ivf", "--lists", "20"], 0),
        (["disk", "--ef-construction", "100"], 0),
    ]

    /// The command is killed while it imports and seals; the points that it has stored are all found, by
    /// the command and by the library.
    @Test(arguments: kills)
    func reopensAfterAKill(index: [String], delayMicroseconds: UInt32) async throws {
        try create(dimensions: 32, ["--seal-after", "700", "--index"] + index)
        let file = line("points.npy", count: 12_000, dimensions: 32)
        let process = try CommandProcess(["collection", "import", database, "points", file])
        let manifest = folder("database/collections/points/segments/manifest")
        for _ in 0..<60_000 where access(manifest, F_OK) != 0 { usleep(1000) }
        #expect(access(manifest, F_OK) == 0, "nothing was sealed")
        usleep(delayMicroseconds)
        process.signalled(SIGKILL)
        #expect(try process.finish().status == -SIGKILL)
        let count = try #require(try described("points").flatMap { Int($0) })
        #expect((700...12_000).contains(count))
        #expect(try described("notes") == "[]")
        // Imported in order: these are the first.
        let last = count - 1
        #expect(try ids("--like", "\(last)", "--limit", "2", "--exact") == [last - 1, last - 2])
        #expect(try ids("--like", "300", "--limit", "2", "--recall", "0.9") == [299, 301])
        // Killed while it sealed what it had imported, it has all.
        let beyond = try CommandProcess.run(
            "collection", "search", database, "points", "--like", "\(count)")
        #expect(beyond.status != 0 && beyond.complaint.contains("no point \(count)"))
        let opened = try await Database.open(at: database)
        let points = try await opened.collection(named: "points")
        #expect(points.count == count)
        let found = try await points.search(
            [300] + [Float](repeating: 0, count: 31), limit: 3, accuracy: .exact)
        #expect(found.map(\.id) == [300, 299, 301])
        try await opened.close()
        let sealed = try CommandProcess.run("collection", "seal", database, "points", "--all")
        #expect(sealed.status == 0, "\(sealed.complaint)")
        #expect(try described("vectors") == "\(count)")
    }
}
