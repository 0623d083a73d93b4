import Glibc
import TestSupport
import Testing

@testable import CordwoodStorage

@Suite struct WriteProgressTests {
    @Test func fullWritesAndASyncAreDone() {
        var progress = WriteProgress(pieces: [10, 20], thenSync: true)
        #expect(progress.beginChain(limit: 8) == .init(pieces: 0..<2, endsWithSync: true))
        #expect(progress.record(step: 0, result: 10) == 10)
        #expect(progress.record(step: 1, result: 20) == 20)
        #expect(progress.record(step: 2, result: 0) == 0)
        #expect(progress.endChain() == .done)
    }

    @Test func aShortWriteIsContinuedAndSyncedAgain() {
        var progress = WriteProgress(pieces: [10, 20, 30], thenSync: true)
        _ = progress.beginChain(limit: 8)
        _ = progress.record(step: 0, result: 10)
        #expect(progress.record(step: 1, result: 5) == 5)
        _ = progress.record(step: 2, result: -Int(ECANCELED))
        _ = progress.record(step: 3, result: -Int(ECANCELED))
        #expect(progress.endChain() == .again)
        #expect(progress.beginChain(limit: 8) == .init(pieces: 1..<3, endsWithSync: true))
        _ = progress.record(step: 0, result: 15)
        _ = progress.record(step: 1, result: 30)
        _ = progress.record(step: 2, result: 0)
        #expect(progress.endChain() == .done)
    }

    /// A kernel that runs the sync although the write before it was short must not be believed.
    @Test func aSyncAfterAShortWriteDoesNotCount() {
        var progress = WriteProgress(pieces: [10], thenSync: true)
        _ = progress.beginChain(limit: 8)
        _ = progress.record(step: 0, result: 4)
        _ = progress.record(step: 1, result: 0)
        #expect(progress.endChain() == .again)
        #expect(progress.beginChain(limit: 8) == .init(pieces: 0..<1, endsWithSync: true))
    }

    @Test func aSyncInASplitChainDoesNotCount() {
        var progress = WriteProgress(pieces: [10], thenSync: true)
        _ = progress.beginChain(limit: 8)
        progress.markSplit()
        _ = progress.record(step: 0, result: 10)
        _ = progress.record(step: 1, result: 0)
        #expect(progress.endChain() == .again)
        #expect(progress.beginChain(limit: 8) == .init(pieces: 1..<1, endsWithSync: true))
        _ = progress.record(step: 0, result: 0)
        #expect(progress.endChain() == .done)
    }

    @Test func theSyncWaitsForTheLastOfSeveralChains() {
        var progress = WriteProgress(pieces: [1, 1, 1, 1], thenSync: true)
        for expected in [0..<2, 2..<4] {
            #expect(progress.beginChain(limit: 2) == .init(pieces: expected, endsWithSync: false))
            _ = progress.record(step: 0, result: 1)
            _ = progress.record(step: 1, result: 1)
            #expect(progress.endChain() == .again)
        }
        #expect(progress.beginChain(limit: 2) == .init(pieces: 4..<4, endsWithSync: true))
        _ = progress.record(step: 0, result: 0)
        #expect(progress.endChain() == .done)
    }

    @Test(arguments: [EIO, ENOSPC, EINTR, EAGAIN])
    func aFailedSyncIsNeverAskedForAgain(number: Int32) {
        var progress = WriteProgress(pieces: [1], thenSync: true)
        _ = progress.beginChain(limit: 8)
        _ = progress.record(step: 0, result: 1)
        _ = progress.record(step: 1, result: -Int(number))
        #expect(progress.endChain() == .failed(number, operation: .fdatasync))
    }

    @Test func theFirstFailureOfAWriteIsReported() {
        var progress = WriteProgress(pieces: [1, 1], thenSync: true)
        _ = progress.beginChain(limit: 8)
        _ = progress.record(step: 0, result: -Int(ENOSPC))
        _ = progress.record(step: 1, result: -Int(EIO))
        _ = progress.record(step: 2, result: -Int(ECANCELED))
        #expect(progress.endChain() == .failed(ENOSPC, operation: .write))
    }

    /// It alone may have lost what was written before.
    @Test func aFailedSyncIsReportedWhateverElseFailed() {
        var progress = WriteProgress(pieces: [1], thenSync: true)
        _ = progress.beginChain(limit: 8)
        _ = progress.record(step: 0, result: -Int(ENOSPC))
        _ = progress.record(step: 1, result: -Int(EIO))
        #expect(progress.endChain() == .failed(EIO, operation: .fdatasync))
    }

    @Test(arguments: [(-Int(EINTR), EINTR), (-Int(EAGAIN), EAGAIN), (0, EIO)])
    func writesThatMoveNothingAreGivenUp(result: Int, reported: Int32) {
        var progress = WriteProgress(pieces: [1], thenSync: false)
        for _ in 0..<WriteProgress.maximumStalls {
            _ = progress.beginChain(limit: 8)
            _ = progress.record(step: 0, result: result)
            #expect(progress.endChain() == .again)
        }
        _ = progress.beginChain(limit: 8)
        _ = progress.record(step: 0, result: result)
        #expect(progress.endChain() == .failed(reported, operation: .write))
    }

    @Test func progressForgivesEarlierStalls() {
        let count = WriteProgress.maximumStalls * 3
        var progress = WriteProgress(pieces: [count], thenSync: false)
        for turn in 0..<(2 * count - 1) {
            _ = progress.beginChain(limit: 8)
            _ = progress.record(step: 0, result: turn % 2 == 0 ? 1 : -Int(EINTR))
            #expect(progress.endChain() == (turn == 2 * count - 2 ? .done : .again))
        }
    }

    @Test func aSyncAloneAndNothingAtAll() {
        var sync = WriteProgress(pieces: [], thenSync: true)
        #expect(sync.beginChain(limit: 2) == .init(pieces: 0..<0, endsWithSync: true))
        _ = sync.record(step: 0, result: 0)
        #expect(sync.endChain() == .done)
        var nothing = WriteProgress(pieces: [], thenSync: false)
        #expect(nothing.beginChain(limit: 2).stepCount == 0)
        #expect(nothing.endChain() == .done)
    }

    /// A kernel that cuts writes short, interrupts and cancels at random: the write is done only
    /// when every byte was taken once and a sync ran after all of them.
    @Test(arguments: UInt64(0)..<200)
    func randomKernelsNeverGetAFalseAcknowledgement(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let pieces = (0..<Int.random(in: 1...12, using: &generator)).map { _ in
            Int.random(in: 1...50, using: &generator)
        }
        var taken = [Int](repeating: 0, count: pieces.count)
        var isSynced = false
        var progress = WriteProgress(pieces: pieces, thenSync: true)
        chains: while true {
            let limit = Int.random(in: 2...6, using: &generator)
            let chain = progress.beginChain(limit: limit)
            #expect(chain.stepCount <= limit && chain.stepCount > 0)
            var isBroken = false
            for (step, piece) in chain.pieces.enumerated() {
                let left = pieces[piece] - taken[piece]
                var result = -Int(ECANCELED)
                if !isBroken {
                    result = Int.random(in: 0...3, using: &generator) == 0 ? -Int(EINTR) : left
                    if Int.random(in: 0...3, using: &generator) == 0 {
                        result = Int.random(in: 1...left, using: &generator)
                    }
                    isBroken = result != left
                }
                taken[piece] += progress.record(step: step, result: result)
                if result > 0 { isSynced = false }
            }
            if chain.endsWithSync {
                _ = progress.record(
                    step: chain.pieces.count, result: isBroken ? -Int(ECANCELED) : 0)
                isSynced = !isBroken
            }
            switch progress.endChain() {
            case .again: continue
            case .done: break chains
            case .failed(let number, let operation):
                // Only a run of stalls as long as the bound may end here.
                Issue.record("seed \(seed): \(operation) failed with \(number)")
                break chains
            }
        }
        #expect(taken == pieces && isSynced, "seed \(seed)")
    }
}

@Suite struct ReadProgressTests {
    @Test func shortReadsGoOnUntilTheEnd() {
        var progress = ReadProgress(count: 10)
        #expect(progress.record(4) == .again)
        #expect(progress.filled == 4 && progress.nextCount == 6)
        #expect(progress.record(-Int(EINTR)) == .again)
        #expect(progress.record(0) == .done(count: 4))
    }

    @Test func aFullReadIsDone() {
        var progress = ReadProgress(count: 10)
        #expect(progress.record(10) == .done(count: 10))
    }

    @Test func hugeReadsAreAskedForInParts() {
        let progress = ReadProgress(count: 3 << 30)
        #expect(progress.nextCount == ReadProgress.maximumStepBytes)
    }

    @Test func errorsAndEndlessInterruptionsFail() {
        var failing = ReadProgress(count: 10)
        #expect(failing.record(-Int(EIO)) == .failed(EIO))
        var stalling = ReadProgress(count: 10)
        for _ in 0..<ReadProgress.maximumStalls {
            #expect(stalling.record(-Int(EAGAIN)) == .again)
        }
        #expect(stalling.record(-Int(EAGAIN)) == .failed(EAGAIN))
    }
}
