public import CordwoodVectors

/// How a collection finds neighbours among the points that it has sealed.
public enum IndexKind: Sendable, Hashable {
    /// Exact: compares with every vector. Nothing is sealed: all points stay in the head.
    case flat
    /// Graphs of near neighbours (``HNSWIndex``).
    case hnsw(HNSWConfiguration = .init())
    /// Lists around centroids (``IVFIndex``).
    case ivf(IVFConfiguration = .init())
    /// Graphs in pages of a file, for more vectors than fit into memory (``DiskIndex``). The cap of memory
    /// is that of each segment.
    case disk(DiskConfiguration = .init())

    /// `flat`, `hnsw`, `ivf` or `disk`.
    public var name: String {
        switch self {
        case .flat: "flat"
        case .hnsw: "hnsw"
        case .ivf: "ivf"
        case .disk: "disk"
        }
    }

    /// How sealed vectors are kept; those of the head are floats. On disk codes are as long as the cap of
    /// memory allows.
    public var quantization: Quantization {
        switch self {
        case .flat: .none
        case .hnsw(let configuration): configuration.quantization
        case .ivf(let configuration): configuration.quantization
        case .disk: .auto
        }
    }

    /// Throws ``DatabaseError/Code/invalidConfiguration`` for a number that is out of range.
    func validate() throws(DatabaseError) {
        do {
            switch self {
            case .flat: break
            case .hnsw(let configuration): try configuration.validate()
            case .ivf(let configuration): try configuration.validate()
            case .disk(let configuration): try configuration.validate()
            }
        } catch { throw DatabaseError(error, "index \(name)") }
    }
}
