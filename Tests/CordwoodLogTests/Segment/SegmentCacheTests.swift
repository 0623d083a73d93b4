import CordwoodStorage
import Synchronization
import Testing

@testable import CordwoodLog

/// A value that tasks share.
private final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        value.withLock { value in body(&value) }
    }
}

@Suite struct SegmentCacheTests {
    private func opened(bytes: Int = 8, entries: Int = 1) -> OpenedSegment {
        var index = OffsetIndex(baseOffset: 0)
        for number in 0..<entries {
            index.append(
                SegmentCursor(
                    position: 4096 + number, nextOffset: Int64(number),
                    chain: BatchChain(value: 0)))
        }
        return OpenedSegment(
            block: MemoryBlock(count: bytes), index: index,
            end: .start(logID: testLogID, baseOffset: 0))
    }

    @Test func theLeastRecentlyReadGoesFirst() async throws {
        let cache = SegmentCache(maximumMaps: 2)
        let loads = Mutex<[UInt64]>([])
        func read(_ key: UInt64) async throws {
            _ = try await cache.open(key) { () throws(LogError) in
                loads.withLock { $0.append(key) }
                return opened()
            }
        }
        for key: UInt64 in [1, 2, 1, 3, 1, 2] { try await read(key) }
        #expect(loads.withLock { $0 } == [1, 2, 3, 2])
        #expect(cache.mapCount == 2)
        #expect(cache.counts == .init(hits: 2, loads: 4, evictions: 2))
    }

    @Test func indexesAreBoundedToo() async throws {
        let cache = SegmentCache(maximumMaps: 100, maximumIndexBytes: 40_000)
        for key: UInt64 in 1...20 {
            _ = try await cache.open(key) { () throws(LogError) in opened(entries: 1000) }
            #expect(cache.indexBytes <= 40_000)
        }
        #expect(cache.mapCount >= 2)
        // One alone may be larger: it is being read.
        _ = try await cache.open(99) { () throws(LogError) in opened(entries: 100_000) }
        #expect(cache.mapCount == 1)
    }

    @Test func timeIndexesAreKeptWithinTheirBound() async throws {
        let cache = SegmentCache(maximumIndexBytes: 40_000)
        let loads = Mutex<[UInt64]>([])
        func read(_ key: UInt64, entries: Int = 800) async throws {
            _ = try await cache.times(key) { () throws(LogError) in
                loads.withLock { $0.append(key) }
                var offsets = OffsetIndex(baseOffset: 0)
                for number in 0..<entries {
                    offsets.append(
                        SegmentCursor(
                            position: 4096 + number, nextOffset: Int64(number),
                            chain: BatchChain(value: 0)))
                }
                return TimeIndex(following: offsets)
            }
            #expect(cache.timeIndexBytes <= 40_000)
        }
        for key: UInt64 in [1, 2, 1, 3, 1, 2] { try await read(key) }
        #expect(loads.withLock { $0 } == [1, 2, 3, 2])
        cache.remove(1)
        try await read(1)
        // One that is larger than the bound is not kept.
        for _ in 0..<2 { try await read(9, entries: 100_000) }
        #expect(loads.withLock { $0 } == [1, 2, 3, 2, 1, 9, 9])
        #expect(cache.counts.timeLoads == 7 && cache.mapCount == 0)
    }

    /// What a reader holds outlives its place in the cache.
    @Test func aReaderKeepsWhatItHolds() async throws {
        let cache = SegmentCache(maximumMaps: 1)
        let isReleased = Mutex(false)
        var held: OpenedSegment? = try await cache.open(1) { () throws(LogError) in
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
            var opened = opened()
            opened.block = MemoryBlock(adopting: memory, count: 8) { base, _ in
                isReleased.withLock { $0 = true }
                base.deallocate()
            }
            return opened
        }
        _ = try await cache.open(2) { () throws(LogError) in opened() }
        #expect(cache.mapCount == 1)
        #expect(!isReleased.withLock { $0 } && held != nil)
        held = nil
        #expect(isReleased.withLock { $0 })
    }

    /// Many readers of one segment cause one load, of which a failure reaches all; the next reader
    /// tries again.
    @Test func aSegmentIsOpenedOnceForAllWhoWait() async throws {
        let cache = SegmentCache()
        let loads = Shared(0)
        let gate = Shared<[CheckedContinuation<Void, Never>]>([])
        for fails in [true, false] {
            loads.withLock { $0 = 0 }
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        let result = try? await cache.open(7) { () throws(LogError) in
                            loads.withLock { $0 += 1 }
                            await withCheckedContinuation { continuation in
                                gate.withLock { $0.append(continuation) }
                            }
                            if fails { throw LogError(.damaged, "test") }
                            return opened()
                        }
                        return result != nil
                    }
                }
                try? await eventually("one load") { gate.withLock { $0.count } == 1 }
                // Time for the others to come and wait.
                for _ in 0..<200 { await Task.yield() }
                for continuation in gate.withLock({ exchange(&$0, with: []) }) {
                    continuation.resume()
                }
                var outcomes: [Bool] = []
                for await outcome in group {
                    outcomes.append(outcome)
                    // A reader that came after the first load failed may have begun another.
                    for continuation in gate.withLock({ exchange(&$0, with: []) }) {
                        continuation.resume()
                    }
                }
                return outcomes
            }
            #expect(outcomes.count == 50)
            if !fails {
                #expect(outcomes.allSatisfy { $0 } && loads.withLock { $0 } == 1)
            }
        }
    }

    /// A storm of readers over many segments: no more are opened at a time than allowed, and no more
    /// stay mapped.
    @Test func openingsAndMapsAreBounded() async throws {
        let cache = SegmentCache(maximumMaps: 8)
        let running = Shared((now: 0, most: 0))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for reader in 0..<200 {
                group.addTask {
                    for step in 0..<20 {
                        let key = UInt64((reader * 7 + step * 13) % 61)
                        _ = try await cache.open(key) { () throws(LogError) in
                            running.withLock {
                                $0.now += 1
                                $0.most = max($0.most, $0.now)
                            }
                            await Task.yield()
                            running.withLock { $0.now -= 1 }
                            return opened()
                        }
                        #expect(cache.mapCount <= 8)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(running.withLock { $0.most } <= SegmentCache.maximumLoads)
        #expect(running.withLock { $0.now } == 0)
        let counts = cache.counts
        #expect(counts.loads == counts.evictions + cache.mapCount)
    }
}
