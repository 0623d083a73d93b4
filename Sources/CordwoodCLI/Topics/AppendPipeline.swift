import Cordwood

/// Keeps several appends on their way at once, in the order in which they came, and prints their
/// offsets in that order the moment each is acknowledged.
///
/// Bounded: at most ``maximumAppends`` are on their way; more wait in the pipe that feeds us.
struct AppendPipeline {
    private static let maximumAppends = 32

    private let topic: Topic
    private let acknowledge: Acknowledgement
    private let printsOffsets: Bool
    private let stopReading: @Sendable () -> Void
    /// Each waits for the one before it, so that the last one's end is the end of all.
    private var appends: [Task<Void, any Error>] = []
    private var lineCount = 0

    /// `stopReading` is called when an append fails, so that nobody waits for a next line.
    init(
        topic: Topic, acknowledge: Acknowledgement, printsOffsets: Bool,
        stopReading: @escaping @Sendable () -> Void
    ) {
        self.topic = topic
        self.acknowledge = acknowledge
        self.printsOffsets = printsOffsets
        self.stopReading = stopReading
    }

    /// Starts an append; waits while too many are on their way.
    mutating func append(_ records: [Record]) async throws {
        if appends.count >= Self.maximumAppends { try await appends.removeFirst().value }
        let lines = lineCount + 1...lineCount + records.count
        lineCount += records.count
        let previous = appends.last
        // Immediate: the records take their place in the log's queue before the next line is read.
        let append = Task.immediate { [topic, acknowledge, printsOffsets, stopReading] in
            do {
                let receipt = try await Self.receipt(of: records, lines, topic, acknowledge)
                try await previous?.value
                if printsOffsets { try Self.print(receipt) }
            } catch {
                stopReading()
                throw error
            }
        }
        appends.append(append)
    }

    /// Waits for all that are on their way.
    mutating func finish() async throws {
        for append in appends { try await append.value }
        appends = []
    }

    private static func receipt(
        of records: [Record], _ lines: ClosedRange<Int>, _ topic: Topic,
        _ acknowledge: Acknowledgement
    ) async throws -> Receipt {
        do {
            return try await topic.append(records, acknowledge: acknowledge)
        } catch {
            throw CommandError(
                "lines \(lines.lowerBound) to \(lines.upperBound) were not acknowledged: \(error)")
        }
    }

    private static func print(_ receipt: Receipt) throws {
        for position in receipt.positions {
            try Output.standard.line("\(position.partition) \(position.offset)")
        }
        try Output.standard.flush()
    }
}
