import Glibc
import Testing

@testable import CordwoodStorage

@Suite struct LinuxFileAheadTests {
    @Test(arguments: IOPath.allCases)
    func zerosAheadLeaveWhatWasWrittenAlone(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            let data = [UInt8](repeating: 7, count: 5000)
            try await file.preallocate(to: 3 << 20)
            try await file.write(data)
            do {
                try await file.writeZeros(8192..<(2 << 20) + 4096)
            } catch let error as StorageError {
                // A file system without writes past its cache.
                #expect(error.errno == EOPNOTSUPP)
            }
            await file.beginWriteback(0..<5000)
            #expect(try await file.size() == 3 << 20)
            try await file.write(data, at: 8000, thenSync: true)
            let read = try await file.read(at: 0, count: 4 << 20).array
            var expected = [UInt8](repeating: 0, count: 3 << 20)
            expected.replaceSubrange(0..<5000, with: data)
            expected.replaceSubrange(8000..<13000, with: data)
            #expect(read == expected)
        }
    }

    @Test(arguments: IOPath.allCases)
    func aClosedFileTakesNoZeros(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            try await file.preallocate(to: 4096)
            await file.close()
            await expectError(.closed) { try await file.writeZeros(0..<4096) }
            await file.beginWriteback(0..<4096)
        }
    }
}
