import Glibc
import Testing

@testable import CordwoodStorage

@Suite struct LinuxLockTests {
    @Test(arguments: IOPath.allCases)
    func aLockIsExclusiveUntilItIsReleased(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { first, root in
            let second = try await LinuxStorage.open(root: root, .init(ioPath: ioPath))
            let name = try path("lock")
            var lock: (any StorageLock)? = try await first.lock(name)
            #expect(lock != nil)
            for storage in [first, second] {
                let error = await expectError(.locked) { _ = try await storage.lock(name) }
                #expect(error?.detail == "held by process \(getpid()), this one")
            }
            lock = nil
            let again = try await second.lock(name)
            await expectError(.locked) { _ = try await first.lock(name) }
            withExtendedLifetime(again) {}
        }
    }

    @Test(arguments: IOPath.allCases)
    func whatTheFileHeldIsNotTrusted(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, root in
            let name = try path("lock")
            let file = try await storage.open(name, .create)
            try await file.write([UInt8](repeating: 0xFF, count: 1000))
            let lock = try await storage.lock(name)
            #expect(try await file.read(at: 0, count: 99).array == Array("\(getpid())\n".utf8))
            try await file.write(Array("12345\n".utf8))
            let other = await expectError(.locked) { _ = try await storage.lock(name) }
            #expect(other?.detail == "held by process 12345")
            try await file.write([UInt8](repeating: 0xFF, count: 1000))
            let unknown = await expectError(.locked) { _ = try await storage.lock(name) }
            #expect(unknown?.detail == "held by a process that has not said its number")
            withExtendedLifetime(lock) {}
            #expect(symlink("lock", "\(root)/link") == 0)
            await expectError(.wrongKind) { _ = try await storage.lock(try path("link")) }
        }
    }
}
