#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Something that reads bytes from a disk, a peer or a caller, and must answer with a result or a named
/// error whatever they are.
struct FuzzTarget: Sendable {
    var name: String
    var run: @Sendable (UnsafeRawBufferPointer) -> Void

    static let all = [
        batch, codec, segment, index, edits, state, vectors, vectorIndex, settings, database,
        causality,
    ]

    /// The one that `CORDWOOD_FUZZ_TARGET` names.
    static let chosen: FuzzTarget = {
        let name = getenv("CORDWOOD_FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = all.first(where: { $0.name == name }) else {
            let names = all.map(\.name).joined(separator: ", ")
            // libFuzzer takes no other way to say that it was called wrongly.
            fatalError("CORDWOOD_FUZZ_TARGET: expected one of \(names), found \"\(name)\"")
        }
        return target
    }()
}

/// What libFuzzer calls, over and over.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: data, count: count))
    return 0
}
