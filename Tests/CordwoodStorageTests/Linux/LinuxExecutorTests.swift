import Glibc
import Synchronization
import TestSupport
import Testing

@testable import CordwoodStorage

@Suite struct LinuxExecutorTests {
    @Test(arguments: IOPath.allCases)
    func anIsolatedActorKeepsItsThread(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let threads = try await PinnedWriter(storage: storage, file: file).threads(turns: 50)
            #expect(threads.count == 1)
            #expect(threads.first != currentThread())
        }
    }

    /// Many actors share the thread, and never run at the same time.
    @Test(arguments: IOPath.allCases)
    func actorsOnOneExecutorExcludeEachOther(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let running = Running()
            let overlaps = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 {
                    let writer = PinnedWriter(storage: storage, file: file)
                    group.addTask {
                        var overlaps = 0
                        for turn in 0..<20 {
                            overlaps += await writer.enter(running)
                            try await file.write([1], at: turn)
                        }
                        return overlaps
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(overlaps == 0)
        }
    }

    /// Work runs in the order in which it came, on the thread of the executor: an actor there may
    /// assume its isolation.
    @Test(arguments: IOPath.allCases)
    func workRunsInOrderOnTheExecutorsThread(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let writer = PinnedWriter(storage: storage, file: file)
            let threads = try await writer.threads(turns: 1)
            let seen = Condition<[(index: Int, thread: String)]>([])
            for index in 0..<1000 {
                storage.enqueue {
                    writer.assumeIsolated { _ in
                        let thread = currentThread()
                        seen.update {
                            $0.append((index, thread))
                            return true
                        }
                    }
                }
            }
            let found = seen.wait { $0.count == 1000 ? $0 : nil }
            #expect(found.map(\.index) == Array(0..<1000))
            #expect(Set(found.map(\.thread)) == threads)
        }
    }

    /// A task that prefers the thread does its I/O there, before and after every wait, and an actor
    /// there is entered without leaving it.
    @Test(arguments: IOPath.allCases)
    func tasksKeepToTheThread(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let writer = PinnedWriter(storage: storage, file: file)
            let expected = try await writer.threads(turns: 1)
            let found = try await Task(executorPreference: storage.taskExecutor) {
                var threads: Set<String> = [currentThread()]
                for turn in 0..<50 {
                    try await file.write([1, 2, 3], at: turn * 3, thenSync: turn % 2 == 0)
                    threads.insert(currentThread())
                    threads.formUnion(try await writer.threads(turns: 1))
                    threads.insert(currentThread())
                }
                return threads
            }.value
            #expect(found == expected)
        }
    }

    @Test(arguments: IOPath.allCases)
    func offloadRunsElsewhereAndReturnsErrors(ioPath: IOPath) async throws {
        struct Refused: Error, Equatable { var number: Int }
        try await withStorage(ioPath) { storage, _ in
            let thread = await storage.offload { currentThread() }
            #expect(thread != currentThread())
            do throws(Refused) {
                _ = try await storage.offload { () throws(Refused) -> Int in
                    throw Refused(number: 7)
                }
                Issue.record("the error was lost")
            } catch {
                #expect(error == Refused(number: 7))
            }
        }
    }

    /// Work on every offload thread at once leaves file operations their own threads.
    @Test(arguments: IOPath.allCases)
    func longWorkRunsAtTheSameTimeAndDelaysNoFiles(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let arrived = Condition(0)
            let released = Condition(false)
            let count = LinuxStorage.offloadWorkerCount
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<count {
                    group.addTask {
                        await storage.offload {
                            arrived.update {
                                $0 += 1
                                return true
                            }
                            _ = released.wait { $0 ? true : nil }
                        }
                    }
                }
                while arrived.wait(for: { $0 }) < count { await Task.yield() }
                let file = try await storage.open(try path("a"), .create)
                try await file.write([1], thenSync: true)
                released.updateAndWakeAll { $0 = true }
                try await group.waitForAll()
            }
        }
    }

    @Test(arguments: IOPath.allCases)
    func offloadedWorkRunsInOrder(ioPath: IOPath) async throws {
        let pool = try WorkerPool(named: "test", threadCount: 1)
        let order = Mutex<[Int]>([])
        for index in 0..<1000 { pool.submit { order.withLock { $0.append(index) } } }
        await pool.run {}
        #expect(order.withLock { $0 } == Array(0..<1000))
    }

    /// Fifty storages, each used and dropped, leave no thread and no descriptor behind, and the
    /// threads while they live are those that they admit to.
    @Test(arguments: IOPath.allCases)
    func droppedStoragesEndTheirThreads(ioPath: IOPath) async throws {
        let directory = TemporaryDirectory()
        var seen: Set<String> = []
        for index in 0..<50 {
            let storage = try await LinuxStorage.open(
                root: directory.path, .init(ioPath: ioPath))
            let file = try await storage.open(try path("file-\(index)"), .create)
            let threads = try await PinnedWriter(storage: storage, file: file).threads(turns: 2)
            #expect(threads.count == 1)
            seen.formUnion(threads)
            seen.insert(await storage.offload { currentThread() })
            seen.insert(await storage.fileWorkers.run { currentThread() })
            let expected =
                LinuxStorage.fileWorkerCount + LinuxStorage.offloadWorkerCount
                + (ioPath == .uring ? 1 : 1 + ThreadExecutor.workerCount)
            #expect(storage.ownedThreads == expected)
        }
        #expect(seen.count >= 3)
        // Other tests run beside this one: what is counted are this one's own threads and files.
        for _ in 0..<2000 where openFiles(below: directory.path) + alive(seen) > 0 { usleep(1000) }
        #expect(openFiles(below: directory.path) == 0)
        #expect(alive(seen) == 0)
    }
}

/// How many callers are between its two halves.
private final class Running: Sendable {
    let count = Atomic(0)
}

/// An actor that runs on a storage's executor.
private actor PinnedWriter {
    let storage: LinuxStorage
    let file: LinuxFile
    private let executor: any SerialExecutor

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(storage: LinuxStorage, file: LinuxFile) {
        self.storage = storage
        self.file = file
        executor = storage.executor
    }

    func threads(turns: Int) async throws -> Set<String> {
        var threads: Set<String> = [currentThread()]
        for turn in 0..<turns {
            try await file.write([1, 2, 3], at: turn * 3, thenSync: turn % 2 == 0)
            threads.insert(currentThread())
            _ = try await file.read(at: 0, count: 3)
            threads.insert(currentThread())
            _ = try await file.size()
            threads.insert(currentThread())
            preconditionIsolated()
        }
        return threads
    }

    func enter(_ running: Running) -> Int {
        let before = running.count.add(1, ordering: .relaxed).oldValue
        usleep(50)
        running.count.subtract(1, ordering: .relaxed)
        return before
    }
}

/// The calling thread, as "process/task/thread" below /proc.
private func currentThread() -> String {
    var target = [UInt8](repeating: 0, count: 256)
    let length = target.withUnsafeMutableBytes {
        readlink("/proc/thread-self", $0.baseAddress!, $0.count)
    }
    return String(decoding: target.prefix(max(length, 0)), as: UTF8.self)
}

/// How many of these threads have not ended.
private func alive(_ threads: Set<String>) -> Int {
    threads.count { access("/proc/\($0)", F_OK) == 0 }
}

/// How many descriptors of this process are open on files below a directory.
private func openFiles(below directory: String) -> Int {
    guard let stream = opendir("/proc/self/fd") else { return -1 }
    defer { closedir(stream) }
    var count = 0
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        var target = [UInt8](repeating: 0, count: 4096)
        let length = target.withUnsafeMutableBytes {
            readlink("/proc/self/fd/\(name)", $0.baseAddress!, $0.count)
        }
        if length > 0,
            String(decoding: target.prefix(length), as: UTF8.self).hasPrefix(directory)
        {
            count += 1
        }
    }
    return count
}
