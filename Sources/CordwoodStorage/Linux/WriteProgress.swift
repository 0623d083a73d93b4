import Glibc

/// Decides what a write, or a write followed by a sync, asks of the kernel next.
///
/// The write consists of *pieces*, each one vectored write. The steps of a chain are the pieces
/// that still have bytes to go, in order, and the sync where it fits behind the last of them.
///
/// Invariants: the sync is asked for only in a chain that begins with every earlier piece complete
/// and ends with the last one; it counts only when every write before it completed in full; an
/// error it reports is final, since the kernel may have dropped the pages it could not write.
struct WriteProgress {
    enum Outcome: Equatable {
        /// All bytes are written, and synced where asked.
        case done
        /// Ask for another chain.
        case again
        /// Give up, with the error number and the step that met it.
        case failed(Int32, operation: Operation)
    }

    enum Operation: String { case write, fdatasync }

    struct Chain: Equatable {
        var pieces: Range<Int>
        var endsWithSync: Bool
        var stepCount: Int { pieces.count + (endsWithSync ? 1 : 0) }
    }

    /// How many chains in a row may move nothing (interrupted, told to try again, cancelled)
    /// before the write fails with what stopped the last of them.
    static let maximumStalls = 32

    private var remaining: [Int]
    private var firstOpen = 0
    private var needsSync: Bool

    private var chain = Chain(pieces: 0..<0, endsWithSync: false)
    private var failure: (number: Int32, operation: Operation)?
    private var hold: Int32?
    private var chainMoved = false
    private var chainSynced = false
    private var chainIsSplit = false
    private var stalls = 0

    /// `pieces` has the number of bytes of each, all above zero.
    init(pieces: [Int], thenSync: Bool) {
        precondition(pieces.allSatisfy { $0 > 0 }, "an empty piece cannot progress")
        remaining = pieces
        needsSync = thenSync
    }

    /// Begins the next chain, of at most `limit` steps.
    mutating func beginChain(limit: Int) -> Chain {
        precondition(limit >= 2, "a chain needs room for a write and its sync")
        let end = min(remaining.count, firstOpen + limit)
        let syncFits = end == remaining.count && end - firstOpen < limit
        chain = Chain(pieces: firstOpen..<end, endsWithSync: needsSync && syncFits)
        hold = nil
        chainMoved = false
        chainSynced = false
        chainIsSplit = false
        return chain
    }

    /// Whether a step of the chain is its sync.
    func isSync(_ step: Int) -> Bool { step == chain.pieces.count }

    /// Notes the result of a step: bytes written, or a negated error number. Returns how many
    /// bytes of that step's piece were taken.
    mutating func record(step: Int, result: Int) -> Int {
        if isSync(step) {
            recordSync(result)
            return 0
        }
        let piece = chain.pieces.lowerBound + step
        if result > 0 {
            precondition(result <= remaining[piece], "the kernel wrote more than it was given")
            remaining[piece] -= result
            chainMoved = true
            return result
        }
        switch Int32(-result) {
        case 0, EINTR, EAGAIN, ECANCELED:
            // A device that takes no bytes and gives no reason is an I/O error when it goes on.
            hold = hold ?? (result == 0 ? EIO : Int32(-result))
        case let number:
            failure = failure ?? (number, .write)
        }
        return 0
    }

    private mutating func recordSync(_ result: Int) {
        switch Int32(-result) {
        case 0: chainSynced = true
        // Cancelled means never begun, because a write before it was cut short.
        case ECANCELED: hold = hold ?? ECANCELED
        // Whatever else failed: only a failed sync may have lost what was written before.
        case let number: failure = (number, .fdatasync)
        }
    }

    /// Notes that the kernel took the chain in two parts: its sync may have run before its writes.
    mutating func markSplit() { chainIsSplit = true }

    /// Ends the chain, all of whose steps are recorded.
    mutating func endChain() -> Outcome {
        if let failure { return .failed(failure.number, operation: failure.operation) }
        while firstOpen < remaining.count, remaining[firstOpen] == 0 { firstOpen += 1 }
        let isWritten = firstOpen == remaining.count
        if chainSynced && isWritten && !chainIsSplit { needsSync = false }
        if isWritten && !needsSync { return .done }

        stalls = chainMoved ? 0 : stalls + 1
        guard stalls <= Self.maximumStalls else {
            return .failed(hold ?? EIO, operation: isWritten ? .fdatasync : .write)
        }
        return .again
    }
}
