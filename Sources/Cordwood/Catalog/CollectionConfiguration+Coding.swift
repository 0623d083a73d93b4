import CordwoodVectors

/// What the catalog keeps of a collection's index: its name, and settings as pairs of a tag (2 bytes)
/// and a number (8 bytes), so that a later version can add kinds and settings. Layout in
/// `docs/file-formats.md`, "Edits of the catalog".
extension CollectionConfiguration {
    /// Numbers are for ever; a setting that is gone keeps its own.
    private enum Tag: UInt16 {
        case sealAfter = 1
        case quantization, neighbors, efConstruction, reranking, seed
        case lists, groupWidth, rabitqBits
        case degree, memoryCapBytes, buildMemoryCapBytes
    }

    /// The numbers that the catalog has for quantizations; those of ``Quantization`` that are missing
    /// get the next ones.
    private static let quantizations: [Quantization] = [
        .none, .sq8, .sq4, .pq4, .pq8, .rabitq, .auto,
    ]
    private static let rerankings: [Reranking] = [.none, .f32, .f16]

    /// The encoded pairs. Configurations are validated before they are written.
    var indexSettings: [(tag: UInt16, value: UInt64)] {
        var pairs: [(Tag, UInt64)] = [(.sealAfter, UInt64(sealAfter))]
        func number(_ quantization: Quantization) -> UInt64 {
            UInt64(Self.quantizations.firstIndex(of: quantization)!)
        }
        switch index {
        case .flat: break
        case .hnsw(let hnsw):
            pairs += [
                (.quantization, number(hnsw.quantization)), (.neighbors, UInt64(hnsw.neighbors)),
                (.efConstruction, UInt64(hnsw.efConstruction)),
                (.reranking, UInt64(Self.rerankings.firstIndex(of: hnsw.reranking)!)),
                (.seed, hnsw.seed),
            ]
        case .ivf(let ivf):
            pairs += [
                (.quantization, number(ivf.quantization)),
                (.reranking, ivf.keepsVectors ? 1 : 0), (.seed, ivf.seed),
            ]
            // What is not given follows from how many vectors there are.
            if let lists = ivf.lists { pairs.append((.lists, UInt64(lists))) }
            if let width = ivf.groupWidth { pairs.append((.groupWidth, UInt64(width))) }
            if let bits = ivf.rabitqBits { pairs.append((.rabitqBits, UInt64(bits))) }
        case .disk(let disk):
            pairs += [
                (.degree, UInt64(disk.degree)), (.efConstruction, UInt64(disk.efConstruction)),
                (.memoryCapBytes, UInt64(disk.memoryCapBytes)),
                (.buildMemoryCapBytes, UInt64(disk.buildMemoryCapBytes)), (.seed, disk.seed),
            ]
        }
        return pairs.map { ($0.0.rawValue, $0.1) }
    }

    /// Sets the index from its name and its pairs; false for a name, a tag or a value that this version
    /// does not know. Settings without a pair keep their defaults.
    mutating func setIndex(_ name: String, _ pairs: [(tag: UInt16, value: UInt64)]) -> Bool {
        switch name {
        case "flat": index = .flat
        case "hnsw": index = .hnsw()
        case "ivf": index = .ivf()
        case "disk": index = .disk()
        default: return false
        }
        for pair in pairs {
            guard let tag = Tag(rawValue: pair.tag) else { return false }
            if tag == .seed {
                guard setSeed(pair.value) else { return false }
            } else {
                guard let number = Int(exactly: pair.value), set(tag, number) else { return false }
            }
        }
        return true
    }

    private mutating func setSeed(_ seed: UInt64) -> Bool {
        switch index {
        case .flat: return false
        case .hnsw(var hnsw):
            hnsw.seed = seed
            index = .hnsw(hnsw)
        case .ivf(var ivf):
            ivf.seed = seed
            index = .ivf(ivf)
        case .disk(var disk):
            disk.seed = seed
            index = .disk(disk)
        }
        return true
    }

    private mutating func set(_ tag: Tag, _ number: Int) -> Bool {
        if tag == .sealAfter {
            sealAfter = number
            return true
        }
        switch index {
        case .flat: return false
        case .hnsw(var hnsw):
            defer { index = .hnsw(hnsw) }
            return Self.set(tag, number, of: &hnsw)
        case .ivf(var ivf):
            defer { index = .ivf(ivf) }
            return Self.set(tag, number, of: &ivf)
        case .disk(var disk):
            defer { index = .disk(disk) }
            return Self.set(tag, number, of: &disk)
        }
    }

    private static func set(_ tag: Tag, _ number: Int, of hnsw: inout HNSWConfiguration) -> Bool {
        switch tag {
        case .quantization where quantizations.indices.contains(number):
            hnsw.quantization = quantizations[number]
        case .neighbors: hnsw.neighbors = number
        case .efConstruction: hnsw.efConstruction = number
        case .reranking where rerankings.indices.contains(number):
            hnsw.reranking = rerankings[number]
        default: return false
        }
        return true
    }

    private static func set(_ tag: Tag, _ number: Int, of ivf: inout IVFConfiguration) -> Bool {
        switch tag {
        case .quantization where quantizations.indices.contains(number):
            ivf.quantization = quantizations[number]
        case .reranking where number == 0 || number == 1: ivf.keepsVectors = number == 1
        case .lists: ivf.lists = number
        case .groupWidth: ivf.groupWidth = number
        case .rabitqBits: ivf.rabitqBits = number
        default: return false
        }
        return true
    }

    private static func set(_ tag: Tag, _ number: Int, of disk: inout DiskConfiguration) -> Bool {
        switch tag {
        case .degree: disk.degree = number
        case .efConstruction: disk.efConstruction = number
        case .memoryCapBytes: disk.memoryCapBytes = number
        case .buildMemoryCapBytes: disk.buildMemoryCapBytes = number
        default: return false
        }
        return true
    }
}
