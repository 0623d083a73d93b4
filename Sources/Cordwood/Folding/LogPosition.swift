import CordwoodLog

/// How far a view has come in a log, and what tells that log from one with another history.
struct LogPosition: Equatable, Sendable {
    /// Everything before it is in the view.
    var offset: Int64
    /// The leader epoch of the record before it: tells another history of the same length apart.
    var leaderEpoch: Int32
    /// The checksum of the record before it, which tells histories of one epoch apart; nil where
    /// the log had none there.
    var checksum: UInt32?
}

extension Log {
    /// The position behind everything before an offset.
    func position(at offset: Int64) async -> LogPosition {
        LogPosition(
            offset: offset, leaderEpoch: epochs.epoch(at: offset - 1),
            checksum: await checksum(before: offset))
    }

    /// Why a view that has come to a position is not one of this log; nil where it may be.
    func refusal(of position: LogPosition) async -> String? {
        guard position.offset <= endOffset else { return "ends before \(position.offset)" }
        guard epochs.epoch(at: position.offset - 1) == position.leaderEpoch else {
            return "has another history"
        }
        if let expected = position.checksum,
            let found = await checksum(before: position.offset), found != expected
        {
            return "has another history of that epoch"
        }
        return nil
    }

    /// The checksum of the record before a position; nil where the log has none there: it was deleted
    /// or compacted away.
    private func checksum(before offset: Int64) async -> UInt32? {
        guard offset > startOffset else { return nil }
        do throws(LogError) {
            let batches = try await read(
                from: offset - 1, maximumBytes: 1, isolation: .logEnd)
            return try batches.first?.records().first { $0.offset == offset - 1 }?.checksum
        } catch {
            // What cannot be read says nothing against the view, which may be all that is left.
            return nil
        }
    }
}
