import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

/// One openat2, and one openat a component, must confine alike.
@Suite struct PathResolverTests {
    @Test(arguments: [true, false])
    func linksAreRefusedInEveryComponent(usesOpenat2: Bool) throws {
        let outside = TemporaryDirectory()
        let inside = TemporaryDirectory()
        let resolver = PathResolver(
            root: try RootDirectory.open(inside.path, creating: false), usesOpenat2: usesOpenat2)
        #expect(symlink(outside.path, "\(inside.path)/link") == 0)
        #expect(symlink("real", "\(inside.path)/within") == 0)
        try resolver.createDirectory(try path("real", "deep"))
        let flags = O_RDWR | O_CREAT
        for names in [["link", "a"], ["within", "a"], ["within", "deep", "a"]] {
            var target = StoragePath.root
            for name in names { target = try target.appending(name) }
            expectWrongKind { _ = try resolver.openFile(target, flags: flags) }
            expectWrongKind { _ = try resolver.openParent(of: target, operation: "x") }
            expectWrongKind { try resolver.createDirectory(target) }
            expectWrongKind { _ = try resolver.openDirectory(target.parent) }
        }
        #expect(access("\(outside.path)/a", F_OK) != 0)
        #expect(access("\(inside.path)/real/a", F_OK) != 0)
        #expect(access("\(inside.path)/real/deep/a", F_OK) != 0)
        _ = try resolver.openFile(try path("real", "deep", "a"), flags: flags)
        #expect(access("\(inside.path)/real/deep/a", F_OK) == 0)
    }

    @Test(arguments: [true, false])
    func descriptorsAreClosedOnExecAndMayWait(usesOpenat2: Bool) throws {
        let directory = TemporaryDirectory()
        let resolver = PathResolver(
            root: try RootDirectory.open(directory.path, creating: false),
            usesOpenat2: usesOpenat2)
        let file = try resolver.openFile(try path("a"), flags: O_RDWR | O_CREAT)
        #expect(fcntl(file.number, F_GETFD, 0) & FD_CLOEXEC != 0)
        #expect(fcntl(file.number, F_GETFL, 0) & O_NONBLOCK == 0)
        let root = try resolver.openDirectory(.root)
        #expect(fcntl(root.number, F_GETFD, 0) & FD_CLOEXEC != 0)
    }

    private func expectWrongKind(
        _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(sourceLocation: sourceLocation) {
            try body()
        } throws: { error in
            (error as? StorageError)?.code == .wrongKind
        }
    }
}
