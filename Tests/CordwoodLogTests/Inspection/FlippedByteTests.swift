import CordwoodSimulation
import CordwoodStorage
import Testing

@testable import CordwoodLog

/// Every flipped byte of every file of a log is told, or is one that nothing reads.
@Suite struct FlippedByteTests {
    /// A closed log of two segments with a file of each kind: producers, and a transaction that is
    /// aborted, one that is committed and one that is open.
    private func makeLog() async throws -> SimulatedStorage {
        let storage = SimulatedStorage(seed: 3)
        let log = try await openLog(on: storage, .small)
        for number in 0..<4 {
            _ = try await log.append(
                [Record(key: [1], value: Array("value \(number)".utf8), timestamp: 7)])
        }
        _ = try await log.produce(1, sequence: 0, count: 2)
        _ = try await log.produce(2, sequence: 0, transactional: true)
        _ = try await log.end(.abort, 2)
        try await log.roll()
        _ = try await log.produce(3, sequence: 0, transactional: true)
        _ = try await log.end(.commit, 3)
        _ = try await log.produce(4, sequence: 0, transactional: true)
        try await log.close()
        return storage
    }

    /// Every byte, but of long runs of zeros, which are all under one checksum or under none, the
    /// ends and every 32nd.
    private func places(in bytes: [UInt8]) -> [Int] {
        let written = bytes.indices.filter { bytes[$0] != 0 }
        var isNear = [Bool](repeating: false, count: bytes.count)
        for place in written {
            for near in max(0, place - 8)..<min(bytes.count, place + 9) { isNear[near] = true }
        }
        return bytes.indices.filter { isNear[$0] || $0 % 32 == 0 }
    }

    /// What must be found where a byte of a file is flipped.
    private enum Expected {
        case damage
        /// Damage, or a note that names the file: what the next opening cuts or writes anew.
        case told
        case anything
    }

    private func expected(_ name: String, _ byte: Int) -> Expected {
        // An edit at the end is torn, and cut.
        if name == "manifest" { return .told }
        // Pages beside the active segment are written anew when the log is opened.
        if name.hasPrefix("\(SegmentID(baseOffset: secondBase)).") && name.hasSuffix("index") {
            return .told
        }
        guard name.hasSuffix(".log") else { return .damage }
        let isSealed = name == "00000000000000000000.log"
        // The slot that was written last is told; the one before counts then.
        if [512..<576, 1024..<1088].contains(where: { $0.contains(byte) }) { return .told }
        if isSealed && (1536..<1600).contains(byte) { return .told }
        return (64..<4096).contains(byte) ? .anything : .damage
    }

    /// Flips the bytes of `part` of `parts` one by one, in a log of its own.
    private func flipAll(_ part: Int, of parts: Int) async throws -> Int {
        let storage = try await makeLog()
        var flips = 0
        for file in storage.files {
            let name = try #require(file.names.last)
            // What lies beside a segment is told with the segment.
            let base: Int64? =
                name == "manifest" ? nil : name.hasPrefix("00000000000000000000.") ? 0 : secondBase
            let bytes = try #require(storage.contents(of: file))
            for byte in places(in: bytes) where byte % parts == part {
                flips += 1
                try storage.flip(file, byte: byte, mask: 4)
                let (items, report) = try await inspect(storage) { $0.baseOffset = base }
                try storage.flip(file, byte: byte, mask: 4)
                let isTold = items.contains {
                    [.note, .damage].contains($0.kind) && $0.path == file.description
                }
                switch expected(name, byte) {
                case .damage:
                    #expect(!report.isSound && isTold, "\(file) byte \(byte)")
                case .told: #expect(isTold || !report.isSound, "\(file) byte \(byte)")
                case .anything: break
                }
            }
        }
        return flips
    }

    /// Where the second segment begins.
    private let secondBase: Int64 = 8

    @Test func everyFlippedByteIsToldOrUnused() async throws {
        let storage = try await makeLog()
        let names = Set(storage.files.compactMap(\.names.last))
        let segment = "00000000000000000000"
        let second = "\(SegmentID(baseOffset: secondBase))"
        let end = "\(SegmentID(baseOffset: 11))"
        #expect(
            names == [
                "manifest", "\(segment).log", "\(segment).index", "\(segment).timeindex",
                "\(segment).txnindex", "\(second).log", "\(second).index", "\(second).timeindex",
                "\(second).snapshot", "\(end).snapshot",
            ])
        let (items, report) = try await inspect(storage)
        #expect(report.isSound && report.segments == 2, "\(report.damage)")
        // The slots of the active segment are written in turn.
        #expect(!items.contains { $0.kind == .note && $0.path.hasSuffix("\(segment).log") })
        let flips = try await withThrowingTaskGroup(of: Int.self) { group in
            for part in 0..<2 { group.addTask { try await flipAll(part, of: 2) } }
            return try await group.reduce(0, +)
        }
        #expect(flips > 3000)
    }
}
