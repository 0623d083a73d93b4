import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

struct RandomReadsTests {
    private static let pages = 37

    /// Each page says which it is.
    private func content(_ seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<Self.pages * randomReadAlignment).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
    }

    /// Reads slots in any order, with some always in flight, and compares what comes.
    private func readAll(
        _ reads: any RandomReads, _ content: [UInt8], slotBytes: Int, seed: UInt64
    ) throws {
        let reader = try reads.makeReader(slotCount: 8, slotBytes: slotBytes)
        var random = SeededGenerator(seed: seed)
        var positions: [Int: Int] = [:]
        var ended = 0
        var started = 0
        while ended < 300 {
            for slot in 0..<8 where positions[slot] == nil && started < 300 {
                let page = Int.random(in: 0..<Self.pages, using: &random)
                positions[slot] = page * randomReadAlignment
                reader.start(slot: slot, at: page * randomReadAlignment)
                started += 1
            }
            reader.complete(waits: true) { slot, result in
                guard let position = positions.removeValue(forKey: slot) else {
                    Issue.record("slot \(slot) was not in flight")
                    return
                }
                let expected = content[position..<min(position + slotBytes, content.count)]
                #expect((try? result.get()) == expected.count, "seed \(seed)")
                reader.withBytes(of: slot) { bytes in
                    bytes.withUnsafeBytes { bytes in
                        #expect(bytes.prefix(expected.count).elementsEqual(expected))
                    }
                }
                ended += 1
            }
        }
    }

    @Test(arguments: IOPath.allCases, [1, 3])
    func readsOfAFileOnADisk(ioPath: IOPath, pagesPerSlot: Int) async throws {
        try await withStorage(ioPath) { storage, _ in
            let content = content(5)
            let file = try await storage.open(try path("pages"), .create)
            try await file.write(content, thenSync: true)
            let reads = try await file.randomReads()
            await file.close()
            try readAll(
                reads, content, slotBytes: pagesPerSlot * randomReadAlignment, seed: 6)
        }
    }

    /// What storages have that know no better.
    @Test func readsOfAMap() throws {
        let content = content(7)
        try readAll(
            MappedReads(MemoryBlock(copying: content)), content, slotBytes: 2 * randomReadAlignment,
            seed: 8)
    }

    /// One reader, used by one thread after another: a ring must not be bound to its first.
    @Test(arguments: IOPath.allCases)
    func threadsTakeTurnsWithAReader(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let content = content(9)
            let file = try await storage.open(try path("pages"), .create)
            try await file.write(content, thenSync: true)
            let reads = try await file.randomReads()
            let reader = UnsafeShared(
                try reads.makeReader(slotCount: 1, slotBytes: randomReadAlignment))
            for page in 0..<16 {
                let first = await onAThread {
                    var first: UInt8?
                    reader.value.start(slot: 0, at: page * randomReadAlignment)
                    reader.value.complete(waits: true) { slot, result in
                        guard case .success(randomReadAlignment) = result else { return }
                        reader.value.withBytes(of: slot) {
                            first = $0.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
                        }
                    }
                    return first
                }
                #expect(first == content[page * randomReadAlignment], "\(page)")
            }
        }
    }

    /// A reader that is let go while it reads: its memory must outlive the reads.
    @Test(arguments: IOPath.allCases)
    func aReaderMayBeLetGo(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("pages"), .create)
            try await file.write(content(10), thenSync: true)
            let reads = try await file.randomReads()
            for _ in 0..<20 {
                let reader = try reads.makeReader(slotCount: 8, slotBytes: randomReadAlignment)
                for slot in 0..<8 { reader.start(slot: slot, at: slot * randomReadAlignment) }
                reader.complete(waits: false) { _, _ in }
            }
        }
    }

    @Test(arguments: IOPath.allCases)
    func readsBehindTheEndHaveNothing(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("pages"), .create)
            try await file.write([1, 2, 3], thenSync: true)
            let reader = try await file.randomReads().makeReader(
                slotCount: 2, slotBytes: randomReadAlignment)
            reader.start(slot: 0, at: 0)
            reader.start(slot: 1, at: 1 << 40)
            var counts: [Int: Int] = [:]
            while counts.count < 2 {
                reader.complete(waits: true) { counts[$0] = (try? $1.get()) ?? -1 }
            }
            #expect(counts == [0: 3, 1: 0])
        }
    }
}

private struct UnsafeShared<Value>: @unchecked Sendable {
    // The test's threads take turns.
    let value: Value
    init(_ value: Value) { self.value = value }
}

private func onAThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        do {
            try SystemThread.start(named: "test") { continuation.resume(returning: body()) }
        } catch { fatalError("\(error)") }
    }
}
