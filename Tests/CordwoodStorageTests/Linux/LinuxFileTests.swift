import TestSupport
import Testing

@testable import CordwoodStorage

@Suite struct LinuxFileTests {
    @Test(arguments: IOPath.allCases)
    func writesAreReadBack(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            try await file.write([1, 2, 3, 4, 5], at: 0)
            try await file.write([9, 9], at: 2, thenSync: true)
            try await file.sync()
            #expect(try await file.size() == 5)
            #expect(try await file.read(at: 0, count: 5).array == [1, 2, 9, 9, 5])
            #expect(try await file.read(at: 1, count: 2).array == [2, 9])
        }
    }

    @Test(arguments: IOPath.allCases)
    func readsStopAtTheEnd(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            #expect(try await file.read(at: 0, count: 10).count == 0)
            try await file.write([1, 2, 3])
            #expect(try await file.read(at: 0, count: 10).array == [1, 2, 3])
            #expect(try await file.read(at: 2, count: 10).array == [3])
            #expect(try await file.read(at: 3, count: 10).count == 0)
            #expect(try await file.read(at: 1 << 40, count: 10).count == 0)
            #expect(try await file.read(at: 0, count: 0).count == 0)
        }
    }

    /// More slices than one vectored call takes, more pieces than one chain takes, and empty
    /// slices among them.
    @Test(arguments: IOPath.allCases, [1, 1024, 1025, 5000, 70_000])
    func manySlicesArriveInOrder(ioPath: IOPath, slices: Int) async throws {
        let seed = UInt64(slices)
        var generator = SeededGenerator(seed: seed)
        let bytes = generator.bytes(slices * 3)
        let block = MemoryBlock(copying: bytes)
        let list = (0..<slices).flatMap { index in
            index % 7 == 0
                ? [MemorySlice(block, index * 3..<index * 3), MemorySlice(block, range(index))]
                : [MemorySlice(block, range(index))]
        }
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            try await file.write([FileWrite(at: 5, list)], thenSync: true)
            let read = try await file.read(at: 5, count: bytes.count + 1)
            #expect(read.array == bytes, "seed \(seed)")
        }
    }

    private func range(_ index: Int) -> Range<Int> { index * 3..<index * 3 + 3 }

    /// Several writes in one call, more than one chain takes, with the sync behind all of them.
    @Test(arguments: IOPath.allCases)
    func manyWritesInOneCall(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let writes = (0..<1000).map { index in
                FileWrite(
                    at: index * 4, [MemorySlice([UInt8](repeating: UInt8(index % 251), count: 4))])
            }
            try await file.write(writes.shuffled(), thenSync: true)
            let read = try await file.read(at: 0, count: 4000).array
            #expect(read == (0..<4000).map { UInt8(($0 / 4) % 251) })
        }
    }

    @Test(arguments: IOPath.allCases)
    func concurrentWritersDoNotMix(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<64 {
                    group.addTask {
                        let bytes = [UInt8](repeating: UInt8(writer + 1), count: 4096)
                        for turn in 0..<4 {
                            try await file.write(
                                bytes, at: (turn * 64 + writer) * 4096, thenSync: turn == 3)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let read = try await file.read(at: 0, count: 256 * 4096).array
            for page in 0..<256 {
                #expect(read[page * 4096..<(page + 1) * 4096].allSatisfy { $0 == page % 64 + 1 })
            }
        }
    }

    /// Far more operations at once than the ring's queues have room for.
    @Test(arguments: IOPath.allCases)
    func tenThousandOperationsInFlight(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let count = 10_000
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<count {
                    group.addTask {
                        try await file.write(
                            [UInt8(index % 251), UInt8(index / 251)], at: index * 2)
                    }
                }
                try await group.waitForAll()
            }
            let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<count {
                    group.addTask {
                        let read = try await file.read(at: index * 2, count: 2).array
                        return read == [UInt8(index % 251), UInt8(index / 251)] ? 0 : 1
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(wrong == 0)
        }
    }

    @Test(arguments: IOPath.allCases)
    func nothingToWriteIsDone(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            try await file.write([], thenSync: false)
            try await file.write([FileWrite(at: 3, [])], thenSync: false)
            try await file.write([FileWrite(at: 3, [MemorySlice([])])], thenSync: true)
            #expect(try await file.size() == 0)
        }
    }

    @Test(arguments: IOPath.allCases)
    func aFileOpenedToReadRefusesWrites(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let name = try path("a")
            try await storage.open(name, .create).write([1, 2])
            let file = try await storage.open(name, .read)
            #expect(try await file.read(at: 0, count: 2).array == [1, 2])
            let error = await expectError(.failed) { try await file.write([3], thenSync: true) }
            #expect(error?.operation == "write")
            #expect(error?.path == "a")
            #expect(error?.errno == 9)
            #expect(try await file.read(at: 0, count: 2).array == [1, 2])
        }
    }

    @Test(arguments: IOPath.allCases)
    func aCancelledTaskCompletesItsWrites(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                try await file.write([UInt8](repeating: 7, count: 1 << 20), thenSync: true)
                return Task.isCancelled
            }
            #expect(try await task.value)
            let read = try await file.read(at: 0, count: 1 << 20).array
            #expect(read == [UInt8](repeating: 7, count: 1 << 20))
        }
    }

    @Test(arguments: IOPath.allCases)
    func aClosedFileRefusesEverything(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            await file.close()
            await file.close()
            await expectError(.closed) { try await file.write([1]) }
            await expectError(.closed) { _ = try await file.read(at: 0, count: 1) }
            await expectError(.closed) { _ = try await file.read(at: 0, count: 0) }
            await expectError(.closed) { try await file.sync() }
            await expectError(.closed) { _ = try await file.size() }
            await expectError(.closed) { try await file.preallocate(to: 1) }
            await expectError(.closed) { try await file.truncate(to: 0) }
            await expectError(.closed) { _ = try await file.map(count: 0) }
        }
    }

    @Test(arguments: IOPath.allCases)
    func closingWaitsForWhatHasBegun(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let name = try path("a")
            let file = try await storage.open(name, .create)
            let bytes = [UInt8](repeating: 3, count: 4 << 20)
            async let written: Void = file.write(bytes, thenSync: true)
            while try await storage.open(name, .read).size() == 0 { await Task.yield() }
            await file.close()
            try await written
            #expect(try await storage.open(name, .read).read(at: 0, count: 5 << 20).array == bytes)
        }
    }
}
