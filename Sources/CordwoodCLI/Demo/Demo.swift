import Cordwood

/// What the demo does, step by step, and what it prints of each.
struct Demo {
    private static let topicName = "words"
    private static let collectionName = "vectors"
    private static let producers = 8
    private static let wordsPerAppend = 50
    private static let pointsPerUpsert = 250
    private static let neighborsShown = 6
    private static let timedSearches = 500

    let words: WordVectors
    let folder: DemoFolder

    func run(word: String) async throws {
        try await DatabaseAccess.withDatabase(at: folder.path, creating: true) { database in
            try show(
                "database",
                "\(folder.path)  (\(folder.fileSystem ?? "unknown file system"); "
                    + "io: \(database.ioPath), kernels: \(database.isa))")
            try await appendWords(to: database)
            try await upsertVectors(to: database)
        }
        let closed = ContinuousClock.now
        try await DatabaseAccess.withDatabase(at: folder.path) { database in
            let topic = try await database.topic(named: Self.topicName)
            let collection = try await database.collection(named: Self.collectionName)
            try show(
                "reopen",
                "\(Figures.duration(ContinuousClock.now - closed)), vectors loaded from the log; "
                    + "\(database.recovery)")
            let index = try await readWords(from: topic)
            try await verify(topic, collection)
            try await timeSearches(in: collection)
            try await showNeighbors(of: word, in: collection, index)
        }
    }

    // MARK: Writing

    private func appendWords(to database: Database) async throws {
        let topic = try await database.topic(Self.topicName)
        let measured = try await measure("append", batch: Self.wordsPerAppend) { rows in
            // The key is the word's number, so that the log alone can rebuild the table of words.
            let records = rows.map { Record(words.word($0), key: "\($0)") }
            _ = try await topic.append(records)
        }
        try show(
            "append",
            "\(Figures.count(words.count)) words, durable  "
                + measured.description(of: words.count, syncs: topic.statistics.syncs))
    }

    private func upsertVectors(to database: Database) async throws {
        let collection = try await database.collection(
            Self.collectionName,
            CollectionConfiguration(dimensions: words.dimensions, metric: .cosine))
        let measured = try await measure("upsert", batch: Self.pointsPerUpsert) { rows in
            let points = rows.map { row in
                Point(
                    id: UInt64(row), vector: words.vector(row),
                    payload: ["label": .string(words.word(row))])
            }
            _ = try await collection.upsert(points)
        }
        try show(
            "upsert",
            "\(Figures.count(words.count)) vectors, durable  "
                + measured.description(of: words.count, syncs: collection.statistics.syncs))
    }

    /// Runs `body` over all rows, a batch at a time, by several producers at once.
    private func measure(
        _ label: String, batch: Int, _ body: @escaping @Sendable (Range<Int>) async throws -> Void
    ) async throws -> Measurement {
        var progress = ProgressBar(label, total: words.count)
        defer { progress.clear() }
        let clock = ContinuousClock()
        let began = clock.now
        var latencies: [Duration] = []
        var done = 0
        try await withThrowingTaskGroup(of: (Duration, Int).self) { group in
            var waiting = stride(from: 0, to: words.count, by: batch).makeIterator()
            func startNext() {
                guard let start = waiting.next() else { return }
                let rows = start..<min(start + batch, words.count)
                group.addTask { (try await clock.measure { try await body(rows) }, rows.count) }
            }
            for _ in 0..<Self.producers { startNext() }
            while let (latency, rows) = try await group.next() {
                startNext()
                latencies.append(latency)
                done += rows
                progress.update(done)
            }
        }
        return Measurement(elapsed: clock.now - began, latencies: latencies)
    }

    // MARK: Reading back

    /// The words as the log has them, which must be those that went in.
    private func readWords(from topic: Topic) async throws -> [UInt64: String] {
        let began = ContinuousClock.now
        var index: [UInt64: String] = [:]
        for partition in topic.partitions {
            let start = partition.startOffset
            for try await record in partition.records(from: start, following: false) {
                try Task.checkCancellation()
                guard let key = record.key, let word = record.text,
                    let row = UInt64(String(decoding: key, as: UTF8.self)), row < words.count,
                    words.word(Int(row)) == word, index.updateValue(word, forKey: row) == nil
                else {
                    throw CommandError(
                        "the log holds a record that was not appended, at offset \(record.offset)")
                }
            }
        }
        guard index.count == words.count else {
            throw CommandError(
                "expected \(words.count) words in the log, found \(index.count)")
        }
        let elapsed = ContinuousClock.now - began
        try show(
            "read",
            "\(Figures.count(index.count)) words from the log  \(Figures.duration(elapsed))  "
                + Figures.rate(index.count, in: elapsed))
        return index
    }

    private func verify(_ topic: Topic, _ collection: Cordwood.Collection) async throws {
        let began = ContinuousClock.now
        let report = try await topic.verify() + collection.verify()
        guard report.isSound else {
            throw CommandError(
                "damage was found: \(report.damage.map { "\($0)" }.joined(separator: "; "))",
                status: ExitStatus.damageFound)
        }
        try show(
            "verify",
            "\(Figures.bytes(report.bytes)) in \(Figures.count(report.batches)) batches: every "
                + "checksum holds  \(Figures.duration(ContinuousClock.now - began))")
    }

    // MARK: Searching

    private func timeSearches(in collection: Cordwood.Collection) async throws {
        let clock = ContinuousClock()
        let step = max(1, words.count / Self.timedSearches)
        var latencies: [Duration] = []
        let elapsed = try await clock.measure {
            for row in stride(from: 0, to: words.count, by: step) {
                try Task.checkCancellation()
                let query = words.vector(row)
                latencies.append(
                    try await clock.measure { _ = try await collection.search(query, limit: 10) })
            }
        }
        try show(
            "search",
            "exact, 10 of \(Figures.count(collection.count)), one at a time  "
                + Measurement(elapsed: elapsed, latencies: latencies)
                .description(of: latencies.count))
    }

    private func showNeighbors(
        of word: String, in collection: Cordwood.Collection, _ index: [UInt64: String]
    ) async throws {
        try Output.standard.line("")
        var asked: [[String]] = [[word]]
        for other in ["guitar", "bread", "tuesday"] where other != word { asked.append([other]) }
        asked.append(["king", "man", "woman"])
        let titles = asked.map { $0.count == 3 ? "\($0[0]) - \($0[1]) + \($0[2])" : $0[0] }
        let width = titles.map(\.count).max() ?? 0
        for (terms, title) in zip(asked, titles) {
            let ids = try terms.map { term in
                guard let id = words.id(of: term) else {
                    throw CommandError("the demo's words lack \"\(term)\"")
                }
                return id
            }
            let query = terms.count == 3 ? words.analogy(ids) : words.vector(ids[0])
            let limit = Self.neighborsShown + ids.count
            let found = try await collection.search(query, limit: limit)
                .filter { !ids.contains(Int($0.id)) }.prefix(Self.neighborsShown)
            let text = found.map { neighbor in
                "\(index[neighbor.id] ?? "?") \(Figures.fixed(Double(neighbor.distance), 2))"
            }
            try Output.standard.line(
                "\(title.paddedRight(to: width))  \(text.joined(separator: "  "))")
        }
    }

    private func show(_ label: String, _ text: String) throws {
        try Output.standard.line("\(label.paddedRight(to: 10))\(text)")
        try Output.standard.flush()
    }
}
