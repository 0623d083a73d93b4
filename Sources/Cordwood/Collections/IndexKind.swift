public import CordwoodVectors

/// How a collection finds neighbours among the points that it has sealed.
public enum IndexKind: Sendable, Hashable {
    /// Exact: compares with every vector. Nothing is sealed: all points stay in the head.
    case flat
    /// Graphs of near neighbours (``HNSWIndex``).
    case hnsw(HNSWConfiguration = .init())
    /// Lists around centroids. Collections of it are not made yet: ``DatabaseError/Code/unsupported``.
    case ivf
    /// Graphs that are larger than memory. Collections of it are not made yet:
    /// ``DatabaseError/Code/unsupported``.
    case disk

    /// `flat`, `hnsw`, `ivf` or `disk`.
    public var name: String {
        switch self {
        case .flat: "flat"
        case .hnsw: "hnsw"
        case .ivf: "ivf"
        case .disk: "disk"
        }
    }

    /// How sealed vectors are kept; those of the head are floats.
    public var quantization: Quantization {
        switch self {
        case .hnsw(let configuration): configuration.quantization
        case .flat, .ivf, .disk: .none
        }
    }

    /// Throws ``DatabaseError/Code/unsupported``, and ``DatabaseError/Code/invalidConfiguration``
    /// for a number that is out of range.
    func validate() throws(DatabaseError) {
        switch self {
        case .flat: break
        case .hnsw(let configuration):
            do { try configuration.validate() } catch { throw DatabaseError(error, "index hnsw") }
        case .ivf, .disk:
            throw DatabaseError(
                .unsupported, "index \(name): this version has collections of index flat and hnsw")
        }
    }
}
