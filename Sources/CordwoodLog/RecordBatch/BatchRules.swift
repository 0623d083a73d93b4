/// What a batch must hold to beside its own checksum: what the log knows of the place where it lies.
struct BatchRules: Equatable, Sendable {
    enum Offsets: Equatable, Sendable {
        /// Each batch begins where the one before it ends: as they were appended.
        case consecutive
        /// Compaction has taken records out; the chain proves that nothing else is missing.
        case increasing
    }

    var offsets = Offsets.consecutive
    /// The epoch that each offset was written in.
    var epochs = EpochCache()

    static let appended = BatchRules()

    /// What a header breaks, where a batch with `expectedOffset` or a later one should be.
    func problem(_ header: BatchHeader, expectedOffset: Int64) -> BatchProblem? {
        let epoch = epochs.epoch(at: header.baseOffset)
        guard header.partitionLeaderEpoch == epoch else {
            return .badEpoch(expected: epoch, found: header.partitionLeaderEpoch)
        }
        let holds =
            offsets == .consecutive
            ? header.baseOffset == expectedOffset : header.baseOffset >= expectedOffset
        return holds ? nil : .badOffset(expected: expectedOffset, found: header.baseOffset)
    }
}
