#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Walks the entries of a ``VersionVector``'s bytes. It borrows them and must not outlive them.
///
/// Pointers, because a comparison is to take some ten nanoseconds an entry: the bytes were written by
/// `VersionVector` alone, whose encoder checks what comes from outside, so that every entry is whole.
struct EntryCursor {
    private let base: UnsafeRawBufferPointer
    private(set) var position: Int

    init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
        base = bytes
        self.position = position
    }

    var isAtEnd: Bool { position >= base.count }

    /// The id's bytes, which live as long as the vector's.
    var id: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: base[position + 1..<position + 1 + idCount])
    }

    var actor: ActorID { ActorID(checked: Array(id)) }

    var counter: UInt64 {
        UInt64(
            littleEndian: base.loadUnaligned(fromByteOffset: counterPosition, as: UInt64.self))
    }

    /// The whole entry.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: base[position..<position + 9 + idCount])
    }

    /// Copies the whole entry and returns the number of its bytes, for which there must be room.
    func copy(to target: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let entry = bytes
        precondition(entry.count <= target.count - offset)
        (target.baseAddress! + offset).copyMemory(
            from: entry.baseAddress!, byteCount: entry.count)
        return entry.count
    }

    mutating func advance() { position += 9 + idCount }

    /// Makes the counter at least `counter`; `bytes` is the same memory, to be written.
    func raise(to counter: UInt64, in bytes: UnsafeMutableRawBufferPointer) {
        guard counter > self.counter else { return }
        bytes.storeBytes(
            of: counter.littleEndian, toByteOffset: counterPosition, as: UInt64.self)
    }

    /// Below 0 where the entry's actor comes before that of `other`, 0 where they are the same.
    func order(to other: EntryCursor) -> Int { Self.order(id, other.id) }

    static func order(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        // Ids have at least one byte, so neither address is nil.
        let difference = memcmp(a.baseAddress!, b.baseAddress!, min(a.count, b.count))
        return difference != 0 ? Int(difference) : a.count - b.count
    }

    private var idCount: Int { Int(base[position]) }
    private var counterPosition: Int { position + 1 + idCount }
}
