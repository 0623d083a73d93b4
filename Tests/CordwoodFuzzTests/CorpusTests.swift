import Testing

@testable import CordwoodStorage

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Every input that is kept, once: what a fuzzer has found interesting, and what has crashed before.
/// Here a trap or a hang is the failure.
@Suite(.timeLimit(.minutes(10))) struct CorpusTests {
    @Test(arguments: FuzzTarget.all.map(\.name)) func isReadWithoutATrap(target: String)
        async throws
    {
        let target = try #require(FuzzTarget.all.first { $0.name == target })
        let inputs = Self.inputs(of: target.name)
        #expect(inputs.count >= 5, "the corpus of \(target.name) is missing")
        // On a thread of its own, as a fuzzer would: a target may wait for the pool's.
        let result: Result<Void, Errno> = await withCheckedContinuation { done in
            do throws(Errno) {
                try SystemThread.start(named: "corpus") {
                    for input in inputs { input.withUnsafeBytes { target.run($0) } }
                    done.resume(returning: .success(()))
                }
            } catch { done.resume(returning: .failure(error)) }
        }
        try result.get()
    }

    private static func inputs(of target: String) -> [[UInt8]] {
        let folder =
            #filePath.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
            + "/corpus/" + target
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var inputs: [[UInt8]] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(".") { continue }
            inputs.append(contents(of: folder + "/" + name))
        }
        return inputs
    }

    private static func contents(of path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }
}
