import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

/// Maps of files that somebody else cuts.
@Suite struct LinuxFileMapTests {
    @Test(arguments: IOPath.allCases) func pagesOfACutFileBecomeZeros(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, root in
            let file = try await storage.open(try path("file"), .create)
            try await file.write([UInt8](repeating: 7, count: 5 * 4096 + 100))
            let block = try await file.map(count: 5 * 4096 + 100)
            #expect(block.array.allSatisfy { $0 == 7 })
            #expect(truncate("\(root)/file", 4096 + 10) == 0)
            let found = block.array
            #expect(found[..<(4096 + 10)].allSatisfy { $0 == 7 })
            #expect(found[(4096 + 10)...].allSatisfy { $0 == 0 })
            // Nor does a page that is written again later come back into the map.
            try await file.write([UInt8](repeating: 9, count: 4096), at: 3 * 4096)
            #expect(block.array[(2 * 4096)...].allSatisfy { $0 == 0 })
            // Another map of the same file has what is there now.
            #expect(try await file.map(count: 4 * 4096).array[3 * 4096] == 9)
        }
    }

    /// More maps than one chunk of the handler's list has places for, some let go in between.
    @Test func manyMapsAreWatched() async throws {
        try await withStorage(.threads) { storage, root in
            let file = try await storage.open(try path("file"), .create)
            try await file.write([UInt8](repeating: 7, count: 2 * 4096))
            var blocks: [MemoryBlock] = []
            for number in 0..<1200 {
                blocks.append(try await file.map(count: 2 * 4096))
                if number % 3 == 0 { blocks.removeFirst() }
            }
            #expect(truncate("\(root)/file", 0) == 0)
            for block in blocks { #expect(block.unsafeBytes[4096] == 0) }
        }
    }

    /// What is no map of ours ends the process as it did before.
    @Test func otherFaultsAreHandedOn() async {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            // Else a crash is reported at length before it ends the process.
            signal(SIGBUS, SIG_DFL)
            let directory = TemporaryDirectory()
            let storage = try await LinuxStorage.open(root: directory.path)
            let file = try await storage.open(try path("file"), .create)
            try await file.write([UInt8](repeating: 7, count: 8192))
            let block = try await file.map(count: 8192)
            #expect(block.unsafeBytes[4096] == 7)
            let descriptor = open("\(directory.path)/file", O_RDWR)
            let base = mmap(nil, 8192, PROT_READ, MAP_SHARED, descriptor, 0)
            ftruncate(descriptor, 0)
            #expect(block.unsafeBytes[4096] == 0)
            // Used, or the optimiser leaves the load out.
            exit(Int32(base?.load(fromByteOffset: 4096, as: UInt8.self) ?? 1))
        }
    }

    /// A handler that was there before ours still gets what is not ours.
    @Test func anEarlierHandlerIsCalled() async {
        await #expect(processExitsWith: .exitCode(42)) {
            signal(SIGBUS) { _ in _exit(42) }
            let directory = TemporaryDirectory()
            let storage = try await LinuxStorage.open(root: directory.path)
            let file = try await storage.open(try path("file"), .create)
            try await file.write([UInt8](repeating: 7, count: 4096))
            _ = try await file.map(count: 4096)
            raise(SIGBUS)
            exit(0)
        }
    }
}
