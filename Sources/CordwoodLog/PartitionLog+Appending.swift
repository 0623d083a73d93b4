import CordwoodStorage

extension PartitionLog {
    public nonisolated func append(
        _ records: [Record], acknowledge: Acknowledgement = .durable
    ) async throws(LogError) -> Range<Int64> {
        try checkKeys(records)
        let batches = try RecordBatchEncoder(configuration)
            .encode(records, now: storage.clock.millisecondsNow())
        return try await append(batches, acknowledge: acknowledge)
    }

    /// Appends batches that were encoded on the caller's own thread.
    /// With `truncations` only while the log was not cut again; see ``checkHistory(_:)``.
    package nonisolated func append(
        _ batches: [EncodedBatch], acknowledge: Acknowledgement, truncations: Int? = nil
    ) async throws(LogError) -> Range<Int64> {
        let limit = configuration.maxMessageBytes
        for batch in batches where batch.byteCount > limit {
            throw LogError(
                .recordTooLarge,
                "a batch of \(batch.byteCount) bytes, expected at most maxMessageBytes = \(limit); "
                    + "nothing was appended")
        }
        let byteCount = batches.reduce(0) { $0 + $1.byteCount }
        var holdsRoom = false
        while true {
            let answer = await withCheckedContinuation { caller in
                arrive(
                    Arrival(
                        batches: batches, byteCount: byteCount, acknowledge: acknowledge,
                        truncations: truncations, holdsRoom: holdsRoom, caller: caller))
            }
            switch answer {
            case .appended(let offsets): return offsets
            case .failed(let error): throw error
            case .duplicate(let offsets):
                try await wait(for: offsets, acknowledge)
                return offsets
            case .full:
                try await waitForRoom(byteCount)
                holdsRoom = true
            }
        }
    }

    private nonisolated func arrive(_ arrival: Arrival) {
        guard arrivals.add(arrival) else { return }
        storage.enqueue { self.assumeIsolated { $0.receiveArrivals() } }
    }

    /// Queues all appends that have come, or answers them at once.
    func receiveArrivals() {
        let came = arrivals.take()
        guard !came.isEmpty else { return }
        let now = observer?.now()
        for arrival in came {
            if let answer = receive(arrival, now) { arrival.caller.resume(returning: answer) }
        }
        startCommitting()
    }

    /// The answer to an append; nil where its group gives it.
    private func receive(_ arrival: Arrival, _ now: Duration?) -> Arrival.Answer? {
        if arrival.holdsRoom {
            grantedBytes -= arrival.byteCount
        } else if !takesAtOnce(arrival.byteCount) {
            return .full
        }
        do throws(LogError) {
            try checkAppendable()
            if let fullDisk { throw fullDisk.reason }
            if let truncations = arrival.truncations { try checkHistory(truncations) }
            stamp(arrival.batches)
            if let offsets = try admit(arrival.batches) { return .duplicate(offsets) }
        } catch { return .failed(error) }
        let first = commit.nextOffset
        let count = arrival.batches.reduce(0) { $0 + $1.recordCount }
        let offsets = first..<first + Int64(count)
        let waits = arrival.acknowledge != .memory
        _ = commit.enqueue(
            arrival.batches, acknowledge: arrival.acknowledge,
            waiter: waits
                ? AppendWaiter(offsets: offsets, caller: arrival.caller, since: now) : nil)
        return waits ? nil : .appended(offsets)
    }
}
