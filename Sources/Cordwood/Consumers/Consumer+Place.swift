import CordwoodLog

extension Consumer {
    /// A partition that this consumer reads.
    struct Place: Sendable {
        let name: TopicPartition
        let partition: Partition
        let since: Int32
        /// The next offset to be handed out; -1 where the group has committed nothing.
        private(set) var position: Int64
        /// The leader epoch of the record before it, as it was read: what another leader has put in
        /// that record's place has another.
        private(set) var leaderEpoch: Int32
        /// The position that needs no commit: what was committed, or begun with.
        var committed: Int64
        private(set) var truncations: KnownTruncations

        /// Begins at what was committed, or before it, where the log was truncated since.
        init(
            _ name: TopicPartition, _ partition: Partition, since: Int32,
            committed: CommittedOffset?
        ) {
            self.name = name
            self.partition = partition
            self.since = since
            // Before the epochs are looked at: what is cut from now on is followed.
            truncations = KnownTruncations(partition.log.truncations)
            let start = committed?.continued(in: partition.log)
            position = start?.offset ?? -1
            leaderEpoch = start?.leaderEpoch ?? -1
            self.committed = start == nil ? -1 : committed?.offset ?? -1
        }

        /// Something was handed out, or taken back, that is not committed.
        var isUncommitted: Bool { position != committed }
        /// What a commit says.
        var offset: CommittedOffset { CommittedOffset(position, leaderEpoch: leaderEpoch) }

        /// Moves on, over records or over nothing, that an epoch's leader wrote.
        mutating func advance(to offset: Int64, leaderEpoch epoch: Int32) {
            position = offset
            leaderEpoch = epoch
        }

        /// Moves to another place of the log as it is now.
        mutating func move(to offset: Int64) {
            advance(to: offset, leaderEpoch: partition.log.epochs.epoch(at: offset - 1))
        }

        /// Goes back to where the log was truncated, if that is before the position: what lies there
        /// now is not what was handed out. Says whether it was truncated.
        mutating func followTruncations() -> Bool {
            guard let lowest = truncations.follow(partition.log.truncations) else { return false }
            if lowest < position { move(to: lowest) }
            return true
        }
    }
}
