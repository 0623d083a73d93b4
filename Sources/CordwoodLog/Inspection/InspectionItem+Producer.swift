import CordwoodStorage

extension InspectionItem {
    /// An aborted transaction, as an index or a snapshot has it.
    init(_ transaction: AbortedTransaction, _ path: StoragePath, at position: Int) {
        self.init(
            .abortedTransaction, path, at: position,
            ["producerID": .integer(transaction.producerID)])
        fields += transaction.fields
    }

    /// What is known of a producer. `position` is its place in a snapshot.
    init(_ id: Int64, _ producer: ProducerState, _ path: StoragePath, at position: Int? = nil) {
        self.init(
            .producer, path, at: position,
            ["producerID": .integer(id), "epoch": .integer(Int64(producer.epoch))])
        if let last = producer.batches.last {
            fields += [
                ("lastSequence", .integer(Int64(last.lastSequence))),
                ("batches", .text(producer.batches.summary)),
            ]
        }
        if let start = producer.transactionStart {
            fields.append(("transactionStart", .integer(start)))
        }
        if producer.coordinatorEpoch >= 0 {
            fields.append(("coordinatorEpoch", .integer(Int64(producer.coordinatorEpoch))))
        }
        fields.append(("lastTimestamp", .integer(producer.lastActivity)))
    }

    /// A transaction that a marker ended. Where it began is not known where its first batches are
    /// gone.
    init(
        _ control: ControlRecord, _ completed: ProducerStates.Completed?, _ header: BatchHeader,
        _ path: StoragePath, at position: Int
    ) {
        self.init(
            .transaction, path, at: position,
            [
                "state": control.marker == .commit ? "committed" : "aborted",
                "producerID": .integer(header.producerID),
                "producerEpoch": .integer(Int64(header.producerEpoch)),
                "coordinatorEpoch": .integer(Int64(control.coordinatorEpoch)),
            ])
        fields +=
            completed?.transaction.fields ?? [("lastOffset", .integer(header.baseOffset))]
    }

    /// A transaction that no marker has ended yet.
    init(openOf id: Int64, _ producer: ProducerState, from start: Int64, _ path: StoragePath) {
        self.init(
            .transaction, path,
            [
                "state": "open", "producerID": .integer(id),
                "producerEpoch": .integer(Int64(producer.epoch)), "firstOffset": .integer(start),
            ])
    }
}

extension AbortedTransaction {
    /// The offsets, as an inspection shows them.
    fileprivate var fields: [(name: String, value: InspectionItem.Value)] {
        [
            ("firstOffset", .integer(firstOffset)), ("lastOffset", .integer(lastOffset)),
            ("lastStableOffset", .integer(lastStableOffset)),
        ]
    }
}
