import CordwoodLog

extension Consumer {
    /// The records of one consumer; see ``Consumer``.
    public struct Iterator: AsyncIteratorProtocol {
        /// How many records of a partition may come in a row while others have some as well.
        public static let turnRecords = 64

        private let consumer: Consumer
        private var generation: Int32 = 0
        private var places: [Place] = []
        /// What was fetched and not handed out yet, by the place's index.
        private var chunks: [Chunk] = []
        private var cursor = 0
        private var turn = 0

        init(_ consumer: Consumer) { self.consumer = consumer }

        /// The next record; nil at the end. After an error of one partition the others have their
        /// turns, and then it is read at the same place again; ``Consumer/seek(_:to:)`` steps over
        /// it.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(DatabaseError) -> ConsumerRecord? {
            while !Task.isCancelled, !consumer.isClosed {
                if consumer.generation != generation {
                    try await consumer.refresh()
                    guard let snapshot = consumer.snapshot() else { return nil }
                    (generation, places) = snapshot
                    chunks = places.map { _ in Chunk() }
                    (cursor, turn) = (0, 0)
                }
                try await consumer.commitIfDue(isIdle: false)
                if let record = try await takeTurns() { return record }
                if consumer.generation != generation { continue }
                try await consumer.commitIfDue(isIdle: true)
                guard consumer.configuration.following, !consumer.isDatabaseClosed else {
                    return nil
                }
                await consumer.waitForWork(generation)
            }
            return nil
        }

        /// Goes round the partitions once, and takes the first record there is.
        private mutating func takeTurns() async throws(DatabaseError) -> ConsumerRecord? {
            // The one whose turn it is may be asked twice: before the others and after them.
            for _ in 0...places.count where !places.isEmpty {
                do throws(DatabaseError) {
                    while turn < Self.turnRecords {
                        if let record = try take(cursor) {
                            turn += 1
                            return record
                        }
                        guard try await fetch(cursor) else { break }
                    }
                } catch {
                    // Its turn is over, too: the others must not starve behind it.
                    endTurn()
                    throw error
                }
                endTurn()
            }
            return nil
        }

        private mutating func endTurn() {
            turn = 0
            cursor = (cursor + 1) % places.count
        }

        /// The next record of what was fetched from a partition.
        private mutating func take(_ index: Int) throws(DatabaseError) -> ConsumerRecord? {
            let place = places[index]
            while true {
                let old = chunks[index].position
                if let record = chunks[index].record {
                    var reader = chunks[index].reader
                    let following: StoredRecord?
                    do { following = try reader?.next() } catch {
                        throw DatabaseError(error, "\(place.name)")
                    }
                    let new = following == nil ? chunks[index].recordsEnd : record.offset + 1
                    let epoch = chunks[index].leaderEpoch
                    guard
                        consumer.advance(
                            index, generation, from: old, to: new, leaderEpoch: epoch)
                    else { break }
                    chunks[index].reader = reader
                    chunks[index].record = following
                    chunks[index].position = new
                    return ConsumerRecord(
                        place: place.name, record: record, leaderEpoch: epoch, since: place.since)
                }
                guard let batch = chunks[index].batches.first else { return nil }
                do {
                    // Control batches end transactions; they hold nothing for a consumer.
                    var reader = batch.isControl ? nil : try RecordReader(batch)
                    var record = try reader?.next()
                    while let skipped = record, skipped.offset < old {
                        record = try reader?.next()
                    }
                    chunks[index].reader = reader
                    chunks[index].record = record
                } catch { throw DatabaseError(error, "\(place.name)") }
                chunks[index].batches.removeFirst()
                chunks[index].recordsEnd = batch.lastOffset + 1
                chunks[index].leaderEpoch = batch.leaderEpoch
                if chunks[index].record == nil, batch.lastOffset >= old {
                    let new = batch.lastOffset + 1
                    guard
                        consumer.advance(
                            index, generation, from: old, to: new, leaderEpoch: batch.leaderEpoch)
                    else { break }
                    chunks[index].position = new
                }
            }
            // The position was moved from outside: what was fetched is not what comes next.
            chunks[index] = Chunk()
            return nil
        }

        /// Fetches from a partition, if it has anything at its position.
        private mutating func fetch(_ index: Int) async throws(DatabaseError) -> Bool {
            let place = places[index]
            consumer.followTruncations(index, generation)
            guard let position = consumer.position(index, generation) else { return false }
            let partition = place.partition
            guard position >= partition.startOffset, position <= partition.endOffset else {
                // Cut since it was looked at: the position is judged anew.
                if consumer.followTruncations(index, generation) { return true }
                try consumer.resetPosition(index, generation, place, from: position)
                return true
            }
            let isolation = consumer.configuration.isolationLevel
            let (end, epochs) = (partition.endOffset(for: isolation), partition.log.epochs)
            if position >= end { return false }
            let bytes = consumer.configuration.fetchBytes(partitions: places.count)
            let batches: [RecordBatch]
            do throws(LogError) {
                batches = try await partition.log.read(
                    from: position, maximumBytes: bytes, isolation: isolation)
            } catch {
                if error.code == .closed, consumer.configuration.following { return false }
                // Whoever is cancelled is told by the end of the sequence.
                if error.code == .cancelled, Task.isCancelled { return false }
                // Retention or a truncation may have been faster: the position is judged anew.
                if error.code == .offsetOutOfRange,
                    partition.startOffset > position
                        || consumer.followTruncations(index, generation)
                {
                    return true
                }
                throw DatabaseError(error, "\(place.name)")
            }
            if batches.isEmpty {
                // Up to there was nothing for this reader: markers, or what was aborted.
                _ = consumer.advance(
                    index, generation, from: position, to: end,
                    leaderEpoch: epochs.epoch(at: end - 1))
                return false
            }
            chunks[index] = Chunk(batches: batches[...], position: position)
            return true
        }
    }

    /// What was fetched from a partition and has not been handed out.
    private struct Chunk {
        var batches: ArraySlice<RecordBatch> = []
        /// The record that comes next, and those of its batch behind it.
        var record: StoredRecord?
        var reader: RecordReader?
        /// The offset after that batch.
        var recordsEnd: Int64 = 0
        /// The leader epoch of that batch.
        var leaderEpoch: Int32 = -1
        /// Where the consumer's position must be for this to come next.
        var position: Int64 = 0
    }
}
