import CCordwoodMaps
import Glibc

extension LinuxFile {
    /// Maps up to this size are read ahead whole; larger ones may not fit into memory, and the
    /// kernel's own readahead serves them.
    private static let readAheadBytes = 16 << 20

    /// Throws `.failed` when the file has fewer than `count` bytes. Where it is cut later, or the
    /// disk cannot read a page, the page becomes zeros: nothing that a reader would take for data,
    /// and no SIGBUS.
    public func map(count: Int) async throws(StorageError) -> MemoryBlock {
        precondition(count >= 0, "cannot map \(count) bytes")
        let descriptor = try openDescriptor("mmap")
        return try await workers.run { [path] () throws(StorageError) in
            let size = try Self.size(descriptor, path)
            guard count <= size else {
                throw StorageError(
                    .failed, operation: "mmap", path: path.description,
                    detail: "expected at least \(count) bytes, found \(size)")
            }
            // The system maps no empty range.
            if count == 0 { return MemoryBlock(count: 0) }
            let base = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor.number, 0)
            guard let base, base != MAP_FAILED else { throw Errno(errno).on(path, "mmap") }
            guard cordwood_maps_watch(base, count) else {
                munmap(base, count)
                throw Errno(ENOMEM).on(path, "mmap")
            }
            // Only advice: a map without it works as well.
            if count <= Self.readAheadBytes { _ = madvise(base, count, Int32(MADV_WILLNEED)) }
            return MemoryBlock(adopting: base, count: count) { base, count in
                cordwood_maps_forget(base)
                munmap(base, count)
            }
        }
    }
}
