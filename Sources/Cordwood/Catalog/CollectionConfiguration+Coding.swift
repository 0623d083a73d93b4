import CordwoodVectors

/// What the catalog keeps of a collection's index: its name, and settings as pairs of a tag (2 bytes)
/// and a number (8 bytes), so that a later version can add kinds and settings. Layout in
/// `docs/file-formats.md`, "Edits of the catalog".
extension CollectionConfiguration {
    /// Numbers are for ever; a setting that is gone keeps its own.
    private enum Tag: UInt16 {
        case sealAfter = 1
        case quantization, neighbors, efConstruction, keepsVectors, seed
    }

    /// The numbers that the catalog has for quantizations; those of ``Quantization`` that are missing
    /// get the next ones.
    private static let quantizations: [Quantization] = [
        .none, .sq8, .sq4, .pq4, .pq8, .rabitq, .auto,
    ]

    /// The encoded pairs.
    var indexSettings: [(tag: UInt16, value: UInt64)] {
        var pairs: [(Tag, UInt64)] = [(.sealAfter, UInt64(sealAfter))]
        switch index {
        case .flat, .ivf, .disk: break
        case .hnsw(let hnsw):
            // Configurations are validated before they are written, and all quantizations listed.
            let quantization = Self.quantizations.firstIndex(of: hnsw.quantization)!
            pairs += [
                (.quantization, UInt64(quantization)), (.neighbors, UInt64(hnsw.neighbors)),
                (.efConstruction, UInt64(hnsw.efConstruction)),
                (.keepsVectors, hnsw.keepsVectors ? 1 : 0), (.seed, hnsw.seed),
            ]
        }
        return pairs.map { ($0.0.rawValue, $0.1) }
    }

    /// Sets the index from its name and its pairs; false for a name, a tag or a value that this version
    /// does not know. Settings without a pair keep their defaults.
    mutating func setIndex(_ name: String, _ pairs: [(tag: UInt16, value: UInt64)]) -> Bool {
        var hnsw = HNSWConfiguration()
        for pair in pairs {
            guard let tag = Tag(rawValue: pair.tag) else { return false }
            if tag == .sealAfter {
                guard let number = Int(exactly: pair.value) else { return false }
                sealAfter = number
            } else if name != "hnsw" || !Self.set(tag, pair.value, of: &hnsw) {
                return false
            }
        }
        switch name {
        case "flat": index = .flat
        case "hnsw": index = .hnsw(hnsw)
        case "ivf": index = .ivf
        case "disk": index = .disk
        default: return false
        }
        return true
    }

    private static func set(
        _ tag: Tag, _ value: UInt64, of hnsw: inout HNSWConfiguration
    ) -> Bool {
        guard tag == .seed || value <= UInt64(Int32.max) else { return false }
        switch tag {
        case .sealAfter: return false
        case .quantization:
            guard value < quantizations.count else { return false }
            hnsw.quantization = quantizations[Int(value)]
        case .neighbors: hnsw.neighbors = Int(value)
        case .efConstruction: hnsw.efConstruction = Int(value)
        case .keepsVectors:
            guard value <= 1 else { return false }
            hnsw.keepsVectors = value == 1
        case .seed: hnsw.seed = value
        }
        return true
    }
}
