// The numbers that files of indexes have for metrics, quantizations and what they are reranked by. They
// never change.

extension Metric {
    private static let inFiles: [Metric] = [.l2, .innerProduct, .cosine]

    var fileNumber: UInt8 { UInt8(Self.inFiles.firstIndex(of: self)!) }

    init?(fileNumber number: UInt8) {
        guard Self.inFiles.indices.contains(Int(number)) else { return nil }
        self = Self.inFiles[Int(number)]
    }
}

extension Quantization {
    private static let inFiles: [Quantization] = [.none, .sq8, .sq4, .pq4, .pq8, .rabitq]

    /// Of what an index is built with, which is never ``Quantization/auto``.
    var fileNumber: UInt8 {
        guard let number = Self.inFiles.firstIndex(of: self) else {
            preconditionFailure("\(self) was to be resolved when the index was built")
        }
        return UInt8(number)
    }

    init?(fileNumber number: UInt8) {
        guard Self.inFiles.indices.contains(Int(number)) else { return nil }
        self = Self.inFiles[Int(number)]
    }
}

extension Reranking {
    private static let inFiles: [Reranking] = [.none, .f32, .f16]

    var fileNumber: UInt8 { UInt8(Self.inFiles.firstIndex(of: self)!) }

    init?(fileNumber number: UInt8) {
        guard Self.inFiles.indices.contains(Int(number)) else { return nil }
        self = Self.inFiles[Int(number)]
    }
}
