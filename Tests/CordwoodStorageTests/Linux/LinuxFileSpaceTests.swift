import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

@Suite struct LinuxFileSpaceTests {
    @Test(arguments: IOPath.allCases)
    func preallocatedBytesAreZerosAndReserved(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, root in
            let file = try await storage.open(try path("a"), .create)
            try await file.write([1, 2, 3])
            try await file.preallocate(to: 1 << 20)
            #expect(try await file.size() == 1 << 20)
            let read = try await file.read(at: 0, count: 2 << 20).array
            #expect(read == [1, 2, 3] + [UInt8](repeating: 0, count: (1 << 20) - 3))
            var status = stat()
            #expect(stat("\(root)/a", &status) == 0)
            #expect(status.st_blocks * 512 >= 1 << 20)
            try await file.preallocate(to: 10)
            #expect(try await file.size() == 1 << 20)
        }
    }

    @Test func zerosAreWrittenWhereSpaceCannotBeReserved() async throws {
        try await withStorage(.threads) { storage, _ in
            let name = try path("a")
            let file = try await storage.open(name, .create)
            try await file.write([1, 2, 3])
            let descriptor = try file.openDescriptor("test")
            try LinuxFile.fillWithZeros(descriptor, name, from: 3, to: 3 << 20)
            let read = try await file.read(at: 0, count: 4 << 20).array
            #expect(read == [1, 2, 3] + [UInt8](repeating: 0, count: (3 << 20) - 3))
            try LinuxFile.fillWithZeros(descriptor, name, from: 3 << 20, to: 5)
            #expect(try await file.size() == 3 << 20)
        }
    }

    @Test(arguments: IOPath.allCases)
    func truncationCutsAndExtends(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            try await file.write([1, 2, 3, 4])
            try await file.truncate(to: 2)
            #expect(try await file.read(at: 0, count: 9).array == [1, 2])
            try await file.truncate(to: 4)
            #expect(try await file.read(at: 0, count: 9).array == [1, 2, 0, 0])
        }
    }

    @Test(arguments: IOPath.allCases)
    func aMapShowsTheFileAndOutlivesIt(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            var generator = SeededGenerator(seed: 5)
            let bytes = generator.bytes(100_000)
            let name = try path("a")
            let file = try await storage.open(name, .create)
            try await file.write(bytes)
            let map = try await file.map(count: 99_999)
            await file.close()
            try await storage.remove(name)
            #expect(map.array == Array(bytes.dropLast()))
        }
    }

    @Test(arguments: IOPath.allCases)
    func aMapBeyondTheEndIsRefused(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let file = try await storage.open(try path("a"), .create)
            #expect(try await file.map(count: 0).count == 0)
            try await file.write([1, 2, 3])
            let error = await expectError(.failed) { _ = try await file.map(count: 4) }
            #expect(error?.detail == "expected at least 4 bytes, found 3")
            #expect(try await file.map(count: 0).count == 0)
            #expect(try await file.map(count: 3).array == [1, 2, 3])
        }
    }

    @Test(arguments: IOPath.allCases)
    func mapsAreUnmapped(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, root in
            let file = try await storage.open(try path("mapped-file"), .create)
            try await file.write([UInt8](repeating: 1, count: 4096))
            var map: MemoryBlock? = try await file.map(count: 4096)
            #expect(map?.array.first == 1)
            #expect(try mapsOfThisProcess().contains("\(root)/mapped-file"))
            map = nil
            #expect(try !mapsOfThisProcess().contains("\(root)/mapped-file"))
        }
    }

    /// A full device: writes and reservations fail by name, reads go on, and so do writes once
    /// there is room.
    @Test(.enabled(if: canMountTmpfs, "needs root and CAP_SYS_ADMIN"), arguments: IOPath.allCases)
    func aFullDeviceIsReportedAndResumes(ioPath: IOPath) async throws {
        let directory = TemporaryDirectory()
        let status = mount("tmpfs", directory.path, "tmpfs", 0, "size=1m")
        try #require(status == 0, "mount failed with errno \(errno)")
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        let storage = try await LinuxStorage.open(root: directory.path, .init(ioPath: ioPath))
        let first = try await storage.open(try path("a"), .create)
        try await first.write([UInt8](repeating: 1, count: 900_000), thenSync: true)
        let second = try await storage.open(try path("b"), .create)
        await expectError(.noSpace) {
            try await second.write([UInt8](repeating: 2, count: 500_000), thenSync: true)
        }
        try await second.truncate(to: 0)
        await expectError(.noSpace) { try await second.preallocate(to: 500_000) }
        #expect(try await second.size() == 0)
        await expectError(.noSpace) {
            let descriptor = try second.openDescriptor("test")
            try LinuxFile.fillWithZeros(descriptor, second.path, from: 0, to: 500_000)
        }
        #expect(try await first.read(at: 899_999, count: 9).array == [1])
        try await storage.remove(try path("a"))
        await first.close()
        try await second.write([UInt8](repeating: 2, count: 500_000), thenSync: true)
        #expect(try await second.size() == 500_000)
    }
}

/// Whether this process may mount, tried on a directory that is mounted and unmounted at once.
private let canMountTmpfs: Bool = {
    guard geteuid() == 0 else { return false }
    let directory = TemporaryDirectory()
    guard mount("tmpfs", directory.path, "tmpfs", 0, "size=1m") == 0 else { return false }
    return umount2(directory.path, Int32(MNT_DETACH)) == 0
}()

private func mapsOfThisProcess() throws -> String {
    let stream = fopen("/proc/self/maps", "r")
    try #require(stream != nil)
    defer { fclose(stream) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&buffer, 1, buffer.count, stream)
        if count == 0 { break }
        text += buffer.prefix(count)
    }
    return String(decoding: text, as: UTF8.self)
}
