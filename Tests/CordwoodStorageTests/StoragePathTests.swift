import Testing

@testable import CordwoodStorage

@Suite struct StoragePathTests {
    @Test(arguments: [
        "", ".", "..", "/", "a/b", "../../etc/x", "a\0b", "a\nb", "é", "a b", "*", "\\",
        String(repeating: "a", count: 250), String(repeating: "a", count: 300),
    ])
    func namesOutsideTheAllowListAreRefused(name: String) {
        #expect {
            _ = try StoragePath.root.appending(name)
        } throws: { error in
            (error as? StorageError)?.code == .invalidName
        }
    }

    @Test(arguments: ["a", "...", "..a", "-", "0_Z.log", String(repeating: "a", count: 249)])
    func namesInTheAllowListAreTaken(name: String) throws {
        let path = try StoragePath.root.appending("top").appending(name)
        #expect(path.names == ["top", name])
        #expect(path.description == "top/\(name)")
        #expect(path.parent.parent == .root)
        #expect(StoragePath.root.parent == .root)
    }
}
