import Cordwood
import CordwoodSimulation
import CordwoodStorage

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension FuzzTarget {
    /// The files of a database, changed in places: opened, read, appended to and closed.
    ///
    /// The input is a list of changes of six bytes each: which file, what to do, where (two bytes,
    /// scaled to the file) and with what (two bytes).
    static let database = FuzzTarget(name: "database") { input in
        let changes = [UInt8](input)
        // Made here: making it waits as well, and must not do so on the pool that it waits for.
        let files = sample.files
        waitFor { await use(changes, of: files) }
    }

    private struct Image: Sendable {
        var files: [(path: StoragePath, bytes: [UInt8])] = []
    }

    /// A small database with all that one can hold.
    private static let sample: Image = {
        let storage = SimulatedStorage(seed: 1)
        waitFor {
            // Without it there is nothing to change: a broken harness must not look like a clean run.
            do { try await fill(storage) } catch { fatalError("no sample: \(error)") }
        }
        return Image(files: storage.files.map { ($0, storage.contents(of: $0) ?? []) })
    }()

    private static var options: DatabaseOptions {
        var options = DatabaseOptions()
        options.retentionCheckIntervalMilliseconds = nil
        return options
    }

    private static func fill(_ storage: SimulatedStorage) async throws {
        let database = try await Database.open(on: storage, options)
        var log = LogConfiguration(
            segmentBytes: 6 << 10, indexIntervalBytes: 256, maxMessageBytes: 2048)
        log.compressionType = .zstd()
        let plain = try await database.topic("plain", TopicConfiguration(partitions: 1, log: log))
        log.cleanupPolicy = .compact
        let compacted = try await database.topic("compacted", TopicConfiguration(log: log))
        for number in 0..<60 {
            let text = String(repeating: "\(number) ", count: 20)
            _ = try await plain.append([Record(text), Record(text, key: "\(number % 5)")])
            _ = try await compacted.append([Record(text, key: "\(number % 5)")])
        }
        _ = try await compacted[0].compact()
        let producer = try await database.producer(transactionalID: "t")
        for number in 0..<4 {
            try await producer.begin()
            try await producer.append([Record("in a transaction")], to: plain)
            if number % 2 == 0 { try await producer.commit() } else { try await producer.abort() }
        }
        let group = try await database.consumerGroup("group")
        try await group.commit([TopicPartition("plain", 0): CommittedOffset(3)])
        let points = try await database.collection(
            "points", CollectionConfiguration(dimensions: 3, metric: .l2))
        for id in UInt64(0)..<10 {
            _ = try await points.upsert([
                Point(id: id, vector: [Float(id), 1, 2], payload: ["a": "b"])
            ])
        }
        try await database.close()
    }

    private static func use(
        _ changes: [UInt8], of sample: [(path: StoragePath, bytes: [UInt8])]
    ) async {
        let storage = SimulatedStorage(seed: 2)
        var files = sample
        for start in stride(from: 0, to: changes.count - 5, by: 6) {
            let file = Int(changes[start]) % files.count
            let place = Int(changes[start + 2]) << 8 | Int(changes[start + 3])
            let count = files[file].bytes.count
            let position = count == 0 ? 0 : place * count >> 16
            let (first, second) = (changes[start + 4], changes[start + 5])
            switch changes[start + 1] % 6 {
            case 0: if count > 0 { files[file].bytes[position] ^= max(1, first) }
            case 1: files[file].bytes.removeSubrange(position...)
            case 2:
                let end = min(count, position + Int(first) * 16)
                for index in position..<end { files[file].bytes[index] = second }
            case 3: files[file].bytes.insert(contentsOf: [first, second], at: position)
            case 4:
                // Another file's bytes.
                let other = files[Int(first) % files.count].bytes
                files[file].bytes.replaceSubrange(position..<count, with: other.dropFirst(position))
            default: files[file].bytes += [UInt8](repeating: first, count: Int(second) * 64)
            }
        }
        do {
            for file in files {
                try await storage.createDirectory(file.path.parent)
                let target = try await storage.open(file.path, .create)
                if !file.bytes.isEmpty {
                    let block = MemoryBlock(copying: file.bytes)
                    try await target.write(
                        [FileWrite(at: 0, [MemorySlice(block)])], thenSync: true)
                }
                await target.close()
            }
        } catch {
            // No fault is armed: it is the harness that is wrong, not the library.
            fatalError("the simulated disk failed: \(error)")
        }
        // Any of it may throw; none of it may trap, hang, or take memory without a bound.
        guard let database = try? await Database.open(on: storage, options) else { return }
        for name in database.topicNames {
            guard let topic = try? await database.topic(named: name) else { continue }
            for partition in topic.partitions {
                var records = partition.records(from: partition.startOffset, following: false)
                    .makeAsyncIterator()
                var errors = 0
                while errors < 50 {
                    do {
                        guard try await records.next() != nil else { break }
                    } catch {
                        errors += 1
                        guard let next = error.resumeOffset else { continue }
                        records = partition.records(from: next, following: false)
                            .makeAsyncIterator()
                    }
                }
                _ = try? await partition.verify()
                _ = try? await partition.compact()
            }
            _ = try? await topic.append([Record("more", key: "k")])
        }
        for name in database.collectionNames {
            guard let collection = try? await database.collection(named: name) else { continue }
            _ = try? await collection.get(3)
            _ = try? await collection.search([1, 2, 3], limit: 3)
        }
        if let group = try? await database.consumerGroup("group") { _ = await group.committed() }
        _ = try? await database.producer(transactionalID: "t")
        try? await database.close()
    }

    /// Runs asynchronous work from the fuzzer's own thread.
    static func waitFor(_ work: @escaping @Sendable () async -> Void) {
        let done = Semaphore()
        Task.detached {
            await work()
            done.post()
        }
        done.wait()
    }
}

/// `@unchecked Sendable`: a POSIX semaphore, whose calls are safe from any thread; the pointer to it
/// never changes.
private final class Semaphore: @unchecked Sendable {
    private let pointer = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(pointer, 0, 0) }
    deinit {
        sem_destroy(pointer)
        pointer.deallocate()
    }

    func post() { sem_post(pointer) }
    func wait() { while sem_wait(pointer) != 0 {} }
}
