/// The first byte of an encoded causal value; `docs/file-formats.md` has the rest.
enum EncodedKind: UInt8 {
    case versionVector = 0x56
    case dottedVersionVectorSet = 0x44
    case multiValueRegister = 0x52

    static let version: UInt8 = 1

    var name: String {
        switch self {
        case .versionVector: "version vector"
        case .dottedVersionVectorSet: "dotted version vector set"
        case .multiValueRegister: "multi-value register"
        }
    }
}

/// Writes what ``EncodedReader`` reads.
struct EncodedWriter {
    private(set) var bytes: [UInt8]

    init(_ kind: EncodedKind) { bytes = [kind.rawValue, EncodedKind.version] }

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func actor(_ actor: ActorID) {
        bytes.append(UInt8(actor.bytes.count))
        bytes.append(contentsOf: actor.bytes)
    }

    /// Bytes behind their number.
    mutating func value(_ value: [UInt8]) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }
}
