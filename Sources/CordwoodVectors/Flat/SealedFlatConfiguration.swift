/// How the vectors of a ``SealedFlatIndex`` are kept.
public struct SealedFlatConfiguration: Sendable, Hashable {
    /// What can be read first.
    public static let quantizations: [Quantization] = [.none, .sq8, .sq4]
    /// What vectors can be kept as.
    public static let rerankings: [Reranking] = [.f32, .f16]

    /// What searches read all of. With ``Quantization/none`` that is the vectors themselves.
    ///
    /// Codes of 8 bits leave some fifty to a hundred vectors to be compared for ten results. Those of 4
    /// bits are half the bytes and say a sixteenth: of 115,659 vectors of 384 dimensions they leave 202,
    /// of 390,000 of 50 dimensions 540, and of a million of 128 dimensions 2997. So one query is the
    /// faster for them, and a batch, which reads codes once for many queries, often the slower.
    public var quantization: Quantization
    /// What the vectors are kept as: what distances are computed of, and what results are exact for. An
    /// index whose vectors halves cannot hold says ``Reranking/f32`` where ``Reranking/f16`` was asked
    /// for.
    public var reranking: Reranking

    public init(quantization: Quantization = .sq8, reranking: Reranking = .f32) {
        self.quantization = quantization
        self.reranking = reranking
    }

    /// The bits of a code, or nil where there are none.
    var codeBits: Int? {
        switch quantization {
        case .sq8: 8
        case .sq4: 4
        case .none, .pq4, .pq8, .rabitq, .auto: nil
        }
    }

    /// Throws ``VectorError/Code/invalidConfiguration`` where something is not among what there is.
    public func validate() throws(VectorError) {
        guard Self.quantizations.contains(quantization) else {
            throw VectorError(
                .invalidConfiguration,
                "quantization: expected one of \(Self.quantizations.map(\.rawValue)), "
                    + "found \(quantization.rawValue)")
        }
        guard Self.rerankings.contains(reranking) else {
            throw VectorError(
                .invalidConfiguration,
                "reranking: expected one of \(Self.rerankings.map(\.rawValue)), "
                    + "found \(reranking.rawValue)")
        }
    }
}
