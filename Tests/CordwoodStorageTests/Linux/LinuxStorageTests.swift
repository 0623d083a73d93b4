import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

@Suite struct LinuxStorageTests {
    @Test(arguments: IOPath.allCases)
    func modesTreatExistingAndMissingFiles(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let name = try path("a")
            await expectError(.notFound) { _ = try await storage.open(name, .read) }
            await expectError(.notFound) { _ = try await storage.open(name, .readWrite) }
            try await storage.open(name, .create).write([1])
            let error = await expectError(.exists) { _ = try await storage.open(name, .create) }
            #expect(error?.path == "a" && error?.operation == "open" && error?.errno == EEXIST)
            #expect(error?.detail == "File exists")
            try await storage.open(name, .openOrCreate).write([2], at: 1)
            #expect(try await storage.open(name, .readWrite).read(at: 0, count: 9).array == [1, 2])
            #expect(try await storage.open(try path("b"), .openOrCreate).size() == 0)
        }
    }

    @Test(arguments: IOPath.allCases)
    func directoriesAreMadeListedAndSynced(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, root in
            try await storage.createDirectory(try path("x", "y", "z"))
            try await storage.createDirectory(try path("x", "y", "z"))
            try await storage.createDirectory(.root)
            _ = try await storage.open(try path("x", "y", "file"), .create)
            #expect(symlink("nowhere", "\(root)/x/y/link") == 0)
            try await storage.syncDirectory(try path("x", "y"))
            try await storage.syncDirectory(.root)
            #expect(
                try await storage.entries(of: try path("x", "y")) == [
                    DirectoryEntry(name: "file", kind: .file),
                    DirectoryEntry(name: "link", kind: .other),
                    DirectoryEntry(name: "z", kind: .directory),
                ])
            #expect(try await storage.entries(of: .root).map(\.name) == ["x"])
            await expectError(.notFound) { _ = try await storage.entries(of: try path("none")) }
            await expectError(.notFound) { try await storage.syncDirectory(try path("none")) }
            let file = try path("x", "y", "file")
            await expectError(.wrongKind) { _ = try await storage.entries(of: file) }
            await expectError(.wrongKind) { try await storage.createDirectory(file) }
            let link = try path("x", "y", "link")
            await expectError(.wrongKind) { try await storage.createDirectory(link) }
        }
    }

    @Test(arguments: IOPath.allCases)
    func onlyEmptyDirectoriesAreRemoved(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            try await storage.createDirectory(try path("x", "y"))
            await expectError(.notEmpty) { try await storage.removeDirectory(try path("x")) }
            await expectError(.notFound) { try await storage.removeDirectory(try path("none")) }
            _ = try await storage.open(try path("x", "file"), .create)
            await expectError(.wrongKind) {
                try await storage.removeDirectory(try path("x", "file"))
            }
            try await storage.removeDirectory(try path("x", "y"))
            #expect(try await storage.entries(of: try path("x")).map(\.name) == ["file"])
        }
    }

    @Test(arguments: IOPath.allCases)
    func renamingReplacesAndRemovingRemoves(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            try await storage.createDirectory(try path("d"))
            try await storage.open(try path("a"), .create).write([1])
            try await storage.open(try path("d", "b"), .create).write([2])
            try await storage.rename(try path("a"), to: try path("d", "b"))
            #expect(try await storage.entries(of: .root).map(\.name) == ["d"])
            let file = try await storage.open(try path("d", "b"), .read)
            #expect(try await file.read(at: 0, count: 2).array == [1])
            try await storage.remove(try path("d", "b"))
            #expect(try await storage.entries(of: try path("d")) == [])
            await expectError(.notFound) { try await storage.remove(try path("d", "b")) }
            await expectError(.notFound) {
                try await storage.rename(try path("a"), to: try path("b"))
            }
            await expectError(.wrongKind) { try await storage.remove(try path("d")) }
            await expectError(.wrongKind) { try await storage.remove(.root) }
            await expectError(.wrongKind) { try await storage.rename(.root, to: try path("b")) }
        }
    }

    @Test(arguments: IOPath.allCases)
    func namesOfManyFilesAreSorted(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, _ in
            let names = (0..<300).map { "file-\($0)" }
            for name in names.shuffled() {
                await (try storage.open(try path(name), .create)).close()
            }
            #expect(try await storage.entries(of: .root).map(\.name) == names.sorted())
            #expect(try await storage.entries(of: .root).map(\.name) == names.sorted())
        }
    }

    @Test(arguments: IOPath.allCases)
    func onlyRegularFilesAreOpened(ioPath: IOPath) async throws {
        try await withStorage(ioPath) { storage, root in
            try await storage.createDirectory(try path("directory"))
            try await storage.open(try path("file"), .create).write([1])
            #expect(symlink("file", "\(root)/link") == 0)
            #expect(symlink("missing", "\(root)/dangling") == 0)
            #expect(mkfifo("\(root)/fifo", 0o600) == 0)
            for name in ["directory", "link", "dangling", "fifo"] {
                let path = try path(name)
                for mode in [OpenMode.read, .readWrite, .openOrCreate] {
                    await expectError(.wrongKind) { _ = try await storage.open(path, mode) }
                }
            }
            await expectError(.exists) { _ = try await storage.open(try path("dangling"), .create) }
            #expect(access("\(root)/missing", F_OK) != 0)
            await expectError(.wrongKind) { _ = try await storage.open(.root, .read) }
            await expectError(.wrongKind) {
                _ = try await storage.open(try path("file", "below"), .read)
            }
        }
    }

    @Test(arguments: IOPath.allCases)
    func theRootIsCreatedOnlyWhereAskedFor(ioPath: IOPath) async throws {
        let directory = TemporaryDirectory()
        let root = "\(directory.path)/one/two//three/"
        await expectError(.notFound) {
            _ = try await LinuxStorage.open(
                root: root, .init(createsRoot: false, ioPath: ioPath))
        }
        #expect(access("\(directory.path)/one", F_OK) != 0)
        let storage = try await LinuxStorage.open(root: root, .init(ioPath: ioPath))
        try await storage.open(try path("a"), .create).write([1])
        #expect(access("\(directory.path)/one/two/three/a", F_OK) == 0)
        await expectError(.wrongKind) {
            _ = try await LinuxStorage.open(root: "\(root)a", .init(ioPath: ioPath))
        }
        await expectError(.invalidName) {
            _ = try await LinuxStorage.open(root: "", .init(ioPath: ioPath))
        }
        await expectError(.invalidName) {
            _ = try await LinuxStorage.open(root: "/tmp/a\0b", .init(ioPath: ioPath))
        }
    }

    @Test(arguments: [
        ("a", "."), ("a/", "."), ("/", "/"), ("/a", "/"), ("/a/b", "/a"), ("/a//b//", "/a"),
        ("a/b", "a"), ("//a", "/"),
    ])
    func parentsOfRoots(path: String, parent: String) {
        #expect(RootDirectory.parent(of: path) == parent)
    }

    @Test func theEnvironmentNamesAnIOPath() throws {
        #expect(try IOPath.parse("uring") == .uring)
        #expect(try IOPath.parse("threads") == .threads)
        for value in ["", "URING", "io_uring", "threads "] {
            #expect {
                _ = try IOPath.parse(value)
            } throws: { error in
                (error as? StorageError)?.description.contains(String(reflecting: value)) == true
            }
        }
    }

    @Test func theSystemClockIsInThisCentury() {
        let now = SystemClock().millisecondsNow()
        #expect(now > 1_700_000_000_000 && now < 4_100_000_000_000)
        #expect(abs(Int(now / 1000) - time(nil)) <= 2)
    }
}
