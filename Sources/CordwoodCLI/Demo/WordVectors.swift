import Cordwood

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The demo's words and their vectors, which lie beside the command.
struct WordVectors: Sendable {
    let dimensions: Int
    private let words: [String]
    private let numbers: [Float]
    private let ids: [String: Int]

    var count: Int { words.count }

    /// Reads the resources. Blocks: call it on a ``BlockingThread``.
    static func load() throws -> WordVectors {
        let folder = try resources()
        let vectors = try VectorFile.open("\(folder)/glove25k.npy")
        var numbers: [Float] = []
        try vectors.readRows(0..<vectors.rows, into: &numbers)
        let words = try LineFile("\(folder)/glove25k.txt").next(vectors.rows + 1)
        guard words.count == vectors.rows else {
            throw CommandError(
                "the demo's words do not fit its vectors: expected \(vectors.rows), "
                    + "found \(words.count)")
        }
        return WordVectors(dimensions: vectors.dimensions, words: words, numbers: numbers)
    }

    private init(dimensions: Int, words: [String], numbers: [Float]) {
        self.dimensions = dimensions
        self.words = words
        self.numbers = numbers
        ids = Dictionary(zip(words, words.indices), uniquingKeysWith: { first, _ in first })
    }

    func word(_ id: Int) -> String { words[id] }

    func id(of word: String) -> Int? { ids[word] }

    func vector(_ id: Int) -> [Float] {
        Array(numbers[(id * dimensions)..<((id + 1) * dimensions)])
    }

    /// The first word is to the second as the answer is to the third: first - second + third.
    func analogy(_ ids: [Int]) -> [Float] {
        let vectors = ids.map(vector)
        return (0..<dimensions).map { vectors[0][$0] - vectors[1][$0] + vectors[2][$0] }
    }

    /// The folder that the package manager puts beside the executable. Looking for it here, and not
    /// by `Bundle.module`, keeps Foundation out of this code.
    private static func resources() throws -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let length = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.baseAddress!, $0.count)
        }
        guard length > 0 else {
            throw CommandError(
                "cannot find the command's own file: \(String(cString: strerror(errno)))")
        }
        let executable = String(decoding: buffer[..<length], as: UTF8.self)
        let folder = executable.split(separator: "/").dropLast().joined(separator: "/")
        let resources = "/\(folder)/cordwood_CordwoodCLI.resources/Resources"
        guard access(resources, R_OK) == 0 else {
            throw CommandError(
                "the demo's words are missing: expected them in \(resources); copy that folder "
                    + "along with the command")
        }
        return resources
    }
}
