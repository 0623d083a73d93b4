import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// What a log was told and what it promised, kept apart from the disk that fails.
///
/// One producer, so the log must hold a prefix of what was sent, in order, that reaches at least as
/// far as what was acknowledged as durable.
struct Oracle {
    /// All records that may be in the log, by offset.
    private(set) var sent: [Record] = []
    /// Everything before this offset was acknowledged as durable.
    private(set) var durableEnd: Int64 = 0
    private var nextNumber = 0

    /// Records that were never sent before.
    mutating func newRecords(_ count: Int, _ random: inout SplitMix64) -> [Record] {
        (0..<count).map { _ in
            nextNumber += 1
            let padding = String(repeating: "p", count: random.below(random.coin() ? 20 : 300))
            return Record(
                key: random.coin() ? nil : [UInt8(truncatingIfNeeded: nextNumber)],
                value: Array("\(nextNumber) \(padding)".utf8), timestamp: Int64(nextNumber))
        }
    }

    mutating func willSend(_ records: [Record]) { sent += records }

    mutating func acknowledged(_ offsets: Range<Int64>, _ acknowledge: Acknowledgement) {
        if acknowledge == .durable { durableEnd = max(durableEnd, offsets.upperBound) }
    }

    /// Holds a reopened log against the promises, and takes what it kept as the new state.
    mutating func check(_ log: SimulatedLog, _ context: String) async throws {
        let found = try await log.all()
        #expect(log.startOffset == 0)
        #expect(found.map(\.offset) == Array(0..<Int64(found.count)), "gaps; \(context)")
        #expect(Int64(found.count) == log.endOffset, "\(context)")
        #expect(
            Int64(found.count) >= durableEnd,
            "lost acknowledged records; \(context); \(log.recovery)")
        #expect(found.count <= sent.count, "\(context)")
        #expect(found.map(\.record) == Array(sent.prefix(found.count)), "\(context)")
        #expect(log.recovery.quarantined.isEmpty, "\(log.recovery); \(context)")
        #expect(log.durableOffset == log.endOffset)
        let report = try await log.verify()
        #expect(report.isSound, "\(report.damage); \(context)")
        sent = Array(sent.prefix(found.count))
        durableEnd = Int64(sent.count)
    }

    /// A life of a log: appends until something fails or `appends` are done. Returns whether all
    /// went well.
    mutating func run(
        _ log: SimulatedLog, appends: Int, _ random: inout SplitMix64,
        acknowledgements: [Acknowledgement] = [.durable, .durable, .written, .memory]
    ) async -> Bool {
        for _ in 0..<appends {
            let records = newRecords(1 + random.below(4), &random)
            let acknowledge = acknowledgements[random.below(acknowledgements.count)]
            willSend(records)
            do {
                let offsets = try await log.append(records, acknowledge: acknowledge)
                acknowledged(offsets, acknowledge)
            } catch { return false }
        }
        return true
    }
}
