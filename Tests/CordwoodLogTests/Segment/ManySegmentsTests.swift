import CordwoodSimulation
import CordwoodStorage
import Glibc
import TestSupport
import Testing

@testable import CordwoodLog

/// Logs of very many segments.
@Suite(.timeLimit(.minutes(10))) struct ManySegmentsTests {
    /// Opening looks at the manifest and the newest segment, however many others there are.
    @Test func openingTouchesNoSealedSegment() async throws {
        var counts: [Int] = []
        for segments in [3, 60] {
            let storage = SimulatedStorage(seed: 1)
            let log = try await openLog(on: storage, .smallWithoutTail)
            for number in 0..<segments {
                _ = try await log.append([Record("\(number)")])
                try await log.roll()
            }
            _ = try await log.append([Record("last")])
            try await log.close()
            let before = storage.counts.total
            let again = try await openLog(on: storage, .smallWithoutTail)
            #expect(again.segmentCount == segments + 1)
            counts.append(storage.counts.total - before)
        }
        #expect(counts[0] == counts[1])
    }

    /// 10,000 segments on a real disk, all of them read by several readers at a time, with at most
    /// 500 of them mapped and a handful of descriptors.
    @Test func tenThousandSegmentsNeedFewMapsAndDescriptors() async throws {
        let count = 10_000
        let directory = TemporaryDirectory()
        try await Self.write(segments: count, to: directory)
        let storage = try await LinuxStorage.open(root: directory.path)
        let cache = SegmentCache()
        let log = try await PartitionLog.open(
            logPath(), on: storage, cache: cache, newLogID: testLogID)
        #expect(log.segmentCount == count + 1 && log.endOffset == Int64(count))
        #expect(cache.counts == .init(), "opening mapped a segment")
        let readers = 8
        try await withThrowingTaskGroup(of: Void.self) { group in
            for reader in 0..<readers {
                group.addTask {
                    for step in 0..<count / readers {
                        let offset = Int64(step * readers + reader)
                        let batch = try await log.read(from: offset, maximumBytes: 1).first
                        #expect(batch?.baseOffset == offset)
                        if step % 250 == 249 {
                            let (files, maps) = Self.held(in: directory.path)
                            // Each reader may hold one that was let go of.
                            #expect(maps <= 500 + readers + SegmentCache.maximumLoads)
                            #expect(files <= 2 + 2 * SegmentCache.maximumLoads)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(cache.mapCount == 500 && cache.counts.loads == count)
        #expect(Self.held(in: directory.path).maps <= 500)
        try await log.close()
    }

    /// How many open files and maps of this process lie in a directory.
    private static func held(in directory: String) -> (files: Int, maps: Int) {
        var files = 0
        for descriptor in 0..<Int32(4096) {
            var target = [UInt8](repeating: 0, count: 512)
            let length = readlink("/proc/self/fd/\(descriptor)", &target, target.count)
            guard length > 0 else { continue }
            if String(decoding: target[..<length], as: UTF8.self).hasPrefix(directory + "/log/") {
                files += 1
            }
        }
        let text = String(
            decoding: TemporaryDirectory.contents(of: "/proc/self/maps"), as: UTF8.self)
        let maps = text.split(separator: "\n").count { $0.contains(directory) }
        return (files, maps)
    }

    /// Writes a closed log of one record a segment, without a sync.
    private static func write(segments count: Int, to directory: TemporaryDirectory) async throws {
        mkdir(directory("log"), 0o700)
        var edits: [SegmentEdit] = []
        var end = SegmentCursor.start(logID: testLogID, baseOffset: 0)
        for number in 0...count {
            let header = SegmentHeader(logID: testLogID, baseOffset: Int64(number))
            edits.append(.add(header.id, createdAt: 1))
            end = .start(logID: testLogID, baseOffset: header.baseOffset)
            var page = header.encode().array
            if number == count {
                let watermark = Watermark(
                    sequence: 1, durable: end, groupEnd: end.position, groupWasSynced: true)
                page.replaceSubrange(1024..<1024 + 64, with: watermark.encode(header).array)
                directory.write("log/\(header.id).log", page)
                break
            }
            var index = OffsetIndex(baseOffset: header.baseOffset)
            index.append(end)
            let batch = try RecordBatchEncoder(maxMessageBytes: 1000)
                .encode([Record("\(number)")], now: 1)[0]
            batch.assign(baseOffset: header.baseOffset, epoch: 0)
            end.advance(over: batch, nextOffset: header.baseOffset + 1)
            directory.write("log/\(header.id).log", page + batch.block.array)
            let pages = IndexPage.encodeAll(index.entries[...], header: header)
            directory.write("log/\(header.id).index", pages[0].array)
            edits.append(.seal(SegmentInfo(id: header.id, end: end)))
        }
        let storage = try await LinuxStorage.open(root: directory.path)
        _ = try await EditLog<LinuxStorage.File>.create(
            path("log/manifest"), on: storage, kind: .segments, identity: testLogID,
            edits: edits.map { $0.encode() })
    }
}
