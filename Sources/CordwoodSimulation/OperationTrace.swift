public import CordwoodStorage

/// What a storage can be asked to do, named as Linux names it. A write with `thenSync` is two
/// operations.
public enum OperationKind: String, Sendable, Hashable, CaseIterable {
    case open, mkdir, rmdir, getdents, rename, unlink, flock
    case syncDirectory = "fsync directory"
    case size = "fstat"
    case write
    case sync = "fdatasync"
    case read
    case preallocate = "fallocate"
    case truncate = "ftruncate"
    case map = "mmap"
}

/// One operation that a ``SimulatedStorage`` was asked to do.
public struct TracedOperation: Sendable, Hashable {
    public var kind: OperationKind
    /// The file, or the source of a rename, relative to the root.
    public var path: String
    /// Where in the file it begins, or the size it asks for; 0 where that means nothing.
    public var position: Int
    /// The bytes written or asked for.
    public var count: Int
    /// How it failed, or nil.
    public var failure: StorageError.Code?
}

/// The operations so far, in order, and a hash over them and the bytes that they wrote.
struct OperationTrace {
    /// How many operations are remembered at least; the oldest are forgotten first. The hash covers
    /// all.
    static let rememberedOperations = 1 << 16

    private(set) var operations: [TracedOperation] = []
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var counts = OperationCounts()

    mutating func record(_ operation: TracedOperation) {
        if operations.count >= 2 * Self.rememberedOperations {
            operations.removeFirst(operations.count - Self.rememberedOperations)
        }
        operations.append(operation)
        counts.add(operation)
        mix(operation.kind.rawValue)
        mix(operation.path)
        mix(UInt64(truncatingIfNeeded: operation.position))
        mix(UInt64(truncatingIfNeeded: operation.count))
        mix(operation.failure?.description ?? "")
    }

    mutating func mix(_ value: UInt64) { hash = SplitMix64.mix(hash ^ value) &+ 1 }

    mutating func mix(_ text: String) {
        for byte in text.utf8 { mix(UInt64(byte)) }
        mix(UInt64(text.utf8.count))
    }

    mutating func mix(_ bytes: UnsafeRawBufferPointer) {
        var state = hash
        var position = 0
        while position + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            state = (state ^ UInt64(littleEndian: word)) &* 0x100_0000_01B3
            state ^= state >> 29
            position += 8
        }
        hash = state
        while position < bytes.count {
            mix(UInt64(bytes[position]))
            position += 1
        }
    }
}

/// How often each operation was asked for, failed ones included.
public struct OperationCounts: Sendable, Hashable {
    private var byKind: [OperationKind: Int] = [:]
    /// The bytes that writes asked to store.
    public private(set) var bytesWritten = 0
    /// The bytes that reads asked for.
    public private(set) var bytesRead = 0

    public subscript(kind: OperationKind) -> Int { byKind[kind, default: 0] }

    public var total: Int { byKind.values.reduce(0, +) }
    public var writes: Int { self[.write] }
    public var syncs: Int { self[.sync] }
    public var directorySyncs: Int { self[.syncDirectory] }

    mutating func add(_ operation: TracedOperation) {
        byKind[operation.kind, default: 0] += 1
        switch operation.kind {
        case .write: bytesWritten += operation.count
        case .read: bytesRead += operation.count
        default: break
        }
    }
}
