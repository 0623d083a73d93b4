import CLiburing
import Glibc
import Synchronization

/// Work ahead of a writer: zeros before its data, writeback before its syncs.
extension LinuxFile {
    /// The most zeros that one operation writes.
    private static let maximumZeroBytes = 1 << 20

    /// Zeros that take no memory: a private map that nobody has written to is one page of zeros.
    private static let zeros: MemoryBlock? = {
        let count = maximumZeroBytes
        let base = mmap(nil, count, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let base, base != MAP_FAILED else { return nil }
        return MemoryBlock(adopting: base, count: count) { munmap($0, $1) }
    }()

    /// Through the ring where there is one: the kernel then holds the file's lock only while it
    /// takes the request, so that appends to the file go on meanwhile.
    public func writeZeros(_ range: Range<Int>) async throws(StorageError) {
        let alignment = Self.zeroAlignment
        precondition(
            range.lowerBound >= 0 && range.lowerBound % alignment == 0
                && range.upperBound % alignment == 0, "zeros are written by whole pages: \(range)")
        let direct = try await openDirect()
        guard let zeros = Self.zeros else { throw Errno(ENOMEM).on(path, "mmap") }
        var position = range.lowerBound
        while position < range.upperBound {
            let count = min(zeros.count, range.upperBound - position)
            let write = FileWrite(at: position, [MemorySlice(zeros, 0..<count)])
            let result = await Completion<Void>.of(on: loop) { waiter in
                WriteOperation(
                    [write], thenSync: false, descriptor: direct, path: path, waiter: waiter,
                    isBackground: true)
            }
            try result.get()
            position += count
        }
    }

    private func openDirect() async throws(StorageError) -> FileDescriptor {
        let descriptor = try openDescriptor("write")
        if let direct = directDescriptor.withLock({ $0 }) { return direct }
        let opened = try await workers.run { [path] () throws(StorageError) in
            switch systemCall({ cordwood_reopen_direct(descriptor.number) }) {
            case .success(let number): return FileDescriptor(adopting: number)
            case .failure(let error) where error.number == EINVAL || error.number == ENOENT:
                throw Errno(EOPNOTSUPP).on(path, "open", detail: "for writes past the cache")
            case .failure(let error): throw error.on(path, "open")
            }
        }
        directDescriptor.withLock { $0 = opened }
        return opened
    }

    /// A call that fails changes nothing: the sync that follows tells what became of the bytes.
    public func beginWriteback(_ range: Range<Int>) async {
        guard !range.isEmpty, let descriptor = try? openDescriptor("sync_file_range") else {
            return
        }
        await workers.run {
            _ = cordwood_begin_writeback(
                descriptor.number, off_t(range.lowerBound), off_t(range.count))
        }
    }
}
