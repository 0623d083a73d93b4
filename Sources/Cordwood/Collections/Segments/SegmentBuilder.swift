import CordwoodStorage
import CordwoodVectors

/// Takes the vectors of a segment, builds its index and writes it. One caller at a time.
protocol SegmentBuilder: AnyObject, Sendable {
    func append(id: UInt64, vector: Span<Float>) async throws(VectorError)

    /// Called once, last. When it returns, the file of the index and its name are durable. Takes long, on
    /// threads that end with it; throws ``VectorError/Code/cancelled`` after `isCancelled` said so. After
    /// an error there may be files half written.
    func build(
        threads: Int, progress: @escaping @Sendable (Int) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) async throws(VectorError) -> any VectorIndex
}

/// What builds an index of vectors that it holds in memory.
protocol MemoryIndexBuilder: ~Copyable, SendableMetatype {
    associatedtype Index: VectorIndex

    mutating func append(id: UInt64, vector: Span<Float>) throws(VectorError)
    consuming func build(
        threads: Int, progress: @escaping @Sendable (Int) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws(VectorError) -> Index
}

extension HNSWBuilder: MemoryIndexBuilder {}
extension IVFBuilder: MemoryIndexBuilder {}

private let builtTwice = "a segment is built once"

// `@unchecked Sendable`: builders are handed from one thread to the next, and used by one at a time.

/// Its vectors wait in memory, and so does the index until it is saved.
final class MemorySegmentBuilder<S: Storage, Builder: MemoryIndexBuilder & ~Copyable>:
    SegmentBuilder, @unchecked Sendable
{
    private var builder: Builder?
    private let path: StoragePath
    private let storage: S

    init(_ builder: consuming Builder, _ path: StoragePath, _ storage: S) {
        self.builder = consume builder
        self.path = path
        self.storage = storage
    }

    func append(id: UInt64, vector: Span<Float>) throws(VectorError) {
        try builder?.append(id: id, vector: vector)
    }

    func build(
        threads: Int, progress: @escaping @Sendable (Int) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) async throws(VectorError) -> any VectorIndex {
        let index = try await storage.offloadLong { () throws(VectorError) in
            guard let builder = self.builder.take() else { preconditionFailure(builtTwice) }
            return try builder.build(
                threads: threads, progress: progress, isCancelled: isCancelled)
        }
        try await index.save(to: path, on: storage)
        return index
    }
}

/// Its index is in its file from the start.
final class DiskSegmentBuilder<S: Storage>: SegmentBuilder, @unchecked Sendable {
    private var builder: DiskBuilder<S>?

    init(_ builder: consuming DiskBuilder<S>) { self.builder = consume builder }

    func append(id: UInt64, vector: Span<Float>) async throws(VectorError) {
        try await builder?.append(id: id, vector: vector)
    }

    func build(
        threads: Int, progress: @escaping @Sendable (Int) -> Void,
        isCancelled: @escaping @Sendable () -> Bool
    ) async throws(VectorError) -> any VectorIndex {
        guard let builder = builder.take() else { preconditionFailure(builtTwice) }
        return try await builder.build(
            threads: threads, progress: progress, isCancelled: isCancelled)
    }
}
