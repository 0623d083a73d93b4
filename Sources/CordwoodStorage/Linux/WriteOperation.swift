import CLiburing

/// A write of gathered bytes, with a sync behind it where asked; or, with no bytes, a sync.
///
/// `@unchecked Sendable`: it is built by the caller, handed to one runner, and touched by no one
/// else until it has resumed its waiter.
final class WriteOperation: FileOperation, @unchecked Sendable {
    typealias Waiter = CompletionGate<Void>

    /// The kernel's bound on one vectored call (IOV_MAX).
    static let maximumVectors = 1024

    /// One vectored write: a run of `vectors`, and where in the file it goes.
    private struct Piece {
        var position: Int
        var vectors: Range<Int>
        var count: Int
    }

    let descriptor: FileDescriptor
    let isBackground: Bool
    private let path: StoragePath
    private let waiter: Waiter

    /// Keeps the blocks alive that `vectors` point into.
    private let writes: [FileWrite]
    private let vectors: UnsafeMutableBufferPointer<iovec>
    private var pieces: [Piece] = []
    private let byteCount: Int
    private var progress: WriteProgress
    private var firstPieceOfChain = 0

    init(
        _ writes: [FileWrite], thenSync: Bool, descriptor: FileDescriptor, path: StoragePath,
        waiter: Waiter, isBackground: Bool = false
    ) {
        self.descriptor = descriptor
        self.isBackground = isBackground
        self.path = path
        self.waiter = waiter
        self.writes = writes
        vectors = .allocate(capacity: writes.reduce(0) { $0 + $1.slices.count })
        Self.gather(writes, into: vectors, pieces: &pieces)
        byteCount = pieces.reduce(0) { $0 + $1.count }
        progress = WriteProgress(pieces: pieces.map(\.count), thenSync: thenSync)
    }

    deinit { vectors.deallocate() }

    /// Lists the bytes of all writes, cut into pieces that one vectored call can take each.
    private static func gather(
        _ writes: [FileWrite], into vectors: UnsafeMutableBufferPointer<iovec>,
        pieces: inout [Piece]
    ) {
        var used = 0
        for write in writes {
            precondition(write.position >= 0, "a write cannot begin at \(write.position)")
            var piece = Piece(position: write.position, vectors: used..<used, count: 0)
            for slice in write.slices where slice.count > 0 {
                if piece.vectors.count == maximumVectors {
                    pieces.append(piece)
                    piece = Piece(
                        position: piece.position + piece.count, vectors: used..<used, count: 0)
                }
                let bytes = slice.unsafeBytes
                // The kernel only reads what a write names, although the type cannot say so.
                let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
                vectors.initializeElement(
                    at: used, to: iovec(iov_base: base, iov_len: bytes.count))
                used += 1
                piece.vectors = piece.vectors.lowerBound..<used
                piece.count += bytes.count
            }
            if piece.count > 0 { pieces.append(piece) }
        }
    }

    /// A sync alone stands behind writes of unknown size.
    var quickByteCount: Int? { byteCount > 0 && !isBackground ? byteCount : nil }

    func nextChain(limit: Int) -> [FileStep] {
        let chain = progress.beginChain(limit: limit)
        firstPieceOfChain = chain.pieces.lowerBound
        var steps: [FileStep] = []
        steps.reserveCapacity(chain.stepCount)
        for piece in pieces[chain.pieces] {
            steps.append(
                .write(
                    vectors: UnsafePointer(vectors.baseAddress! + piece.vectors.lowerBound),
                    count: piece.vectors.count, position: piece.position))
        }
        if chain.endsWithSync { steps.append(.sync) }
        return steps
    }

    func record(step: Int, result: Int) {
        var result = result
        if result == 0, progress.isSync(step) {
            result = -Int(cordwood_journal_failure(descriptor.number))
        }
        let taken = progress.record(step: step, result: result)
        if taken > 0 { drop(taken, ofPiece: firstPieceOfChain + step) }
    }

    /// Moves the start of a piece behind bytes that the kernel has taken.
    private func drop(_ taken: Int, ofPiece index: Int) {
        var piece = pieces[index]
        piece.position += taken
        piece.count -= taken
        var left = taken
        var first = piece.vectors.lowerBound
        while left > 0 {
            let length = vectors[first].iov_len
            if left < length {
                vectors[first].iov_base += left
                vectors[first].iov_len -= left
                break
            }
            left -= length
            first += 1
        }
        piece.vectors = first..<piece.vectors.upperBound
        pieces[index] = piece
    }

    func markSplit() { progress.markSplit() }

    func endChain() -> Bool {
        switch progress.endChain() {
        case .again: return false
        case .done:
            waiter.open(.success(()))
            return true
        case .failed(let number, let operation):
            waiter.open(
                .failure(
                    StorageError(errno: number, operation: operation.rawValue, path: path)))
            return true
        }
    }
}
