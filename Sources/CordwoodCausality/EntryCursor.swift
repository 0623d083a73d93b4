#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Walks the entries of a ``VersionVector``'s bytes. It borrows them and must not outlive them.
///
/// Pointers, because a comparison is to take some five nanoseconds an entry: the bytes were written by
/// `VersionVector` alone, whose encoder checks what comes from outside, so that every entry is whole.
/// What bounds the loops over it are the two loads of each id and their comparison.
/// Arithmetic does not look for overflows: everything is a place in an array.
struct EntryCursor {
    /// The entry, where it is not the end.
    private var start: UnsafeRawPointer
    private let base: UnsafeRawPointer
    private let end: UnsafeRawPointer

    init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) {
        // No bytes may have no address; any that is its own end will do.
        base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
        start = base + position
        end = base + bytes.count
    }

    var isAtEnd: Bool { start >= end }
    var position: Int { start - base }

    /// The id's bytes, which live as long as the vector's.
    var id: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: idStart, count: idCount)
    }

    var actor: ActorID { ActorID(checked: Array(id)) }

    var counter: UInt64 {
        UInt64(littleEndian: (idStart + idCount).loadUnaligned(as: UInt64.self))
    }

    /// How many bytes the whole entry takes.
    var byteCount: Int { 9 &+ idCount }

    /// The whole entry.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start, count: byteCount)
    }

    /// Copies the whole entry and returns the number of its bytes, for which there must be room.
    func copy(to target: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        let count = byteCount
        precondition(count <= target.count &- offset)
        (target.baseAddress! + offset).copyMemory(from: start, byteCount: count)
        return count
    }

    mutating func advance() { start += byteCount }

    /// Makes the counter at least `counter`, in the same memory.
    func raise(to counter: UInt64, in bytes: UnsafeMutableRawBufferPointer) {
        guard counter > self.counter else { return }
        bytes.storeBytes(
            of: counter.littleEndian, toByteOffset: position + 1 + idCount, as: UInt64.self)
    }

    /// Below 0 where the entry's actor comes before that of `other`, 0 where they are the same.
    func order(to other: EntryCursor) -> Int {
        let (count, otherCount) = (idCount, other.idCount)
        let common = min(count, otherCount)
        var place = 0
        // Eight bytes a round. The last ones may reach into the counter, which has eight bytes.
        while place < common {
            var a = UInt64(bigEndian: (idStart + place).loadUnaligned(as: UInt64.self))
            var b = UInt64(bigEndian: (other.idStart + place).loadUnaligned(as: UInt64.self))
            place &+= 8
            if place > common {
                let beyond = UInt64(truncatingIfNeeded: 8 &* (place &- common))
                a &>>= beyond
                b &>>= beyond
            }
            if a != b { return a < b ? -1 : 1 }
        }
        return count &- otherCount
    }

    /// The same for an id that is not an entry's.
    func order(to id: UnsafeRawBufferPointer) -> Int {
        // Ids have at least one byte, so neither address is nil.
        let difference = memcmp(idStart, id.baseAddress!, min(idCount, id.count))
        return difference != 0 ? Int(difference) : idCount - id.count
    }

    private var idStart: UnsafeRawPointer { start + 1 }
    private var idCount: Int { Int(start.load(as: UInt8.self)) }
}
