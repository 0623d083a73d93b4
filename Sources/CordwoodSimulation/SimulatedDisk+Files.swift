internal import CordwoodStorage

/// Contents: written, resized, synced and read, within the capacity.
extension SimulatedDisk {
    func size(of number: Int) -> Int { files[number]?.size ?? 0 }

    /// Writes all that fits. Where the disk is full, the bytes before that point are written, as a
    /// kernel does, and an error of code ``StorageError/Code/noSpace`` says so.
    mutating func write(
        _ writes: [FileWrite], to number: Int, path: StoragePath
    ) throws(StorageError) {
        let length = writes.reduce(0) { $0 + $1.count }
        let written = write(writes, to: number, atMost: length)
        if written < length {
            throw StorageError(
                .noSpace, operation: "write", path: path.description, errno: Errno.noSpace,
                detail: "wrote \(written) of \(length) bytes; capacity \(capacityBytes ?? .max)")
        }
    }

    /// Writes the first `limit` bytes of `writes`, fewer where the disk is full; returns how many.
    @discardableResult
    mutating func write(_ writes: [FileWrite], to number: Int, atMost limit: Int) -> Int {
        var left = limit
        for write in writes {
            var position = write.position
            for slice in write.slices {
                let wanted = min(slice.count, left)
                let fitting = min(wanted, max(size(of: number) + freeBytes - position, 0))
                let bytes = UnsafeRawBufferPointer(rebasing: slice.unsafeBytes[..<fitting])
                grow(number) { $0.write(bytes, at: position, &$1) }
                position += fitting
                left -= fitting
                if fitting < slice.count { return limit - left }
            }
        }
        return limit - left
    }

    mutating func resize(
        _ number: Int, to size: Int, _ operation: String, path: StoragePath
    ) throws(StorageError) {
        let growth = size - self.size(of: number)
        if growth > freeBytes {
            throw StorageError(
                .noSpace, operation: operation, path: path.description, errno: Errno.noSpace,
                detail: "needs \(growth) bytes, \(freeBytes) are free")
        }
        grow(number) { $0.resize(to: size, &$1) }
    }

    /// `count` bytes at `position`, fewer where the file ends.
    func read(_ number: Int, at position: Int, count: Int) -> MemoryBlock {
        let present = max(0, min(count, size(of: number) - position))
        let block = MemoryBlock(count: present)
        files[number]?.cached.read(at: position, into: block.unsafeMutableBytes)
        return block
    }

    private var freeBytes: Int {
        capacityBytes.map { max($0 - usedBytes, 0) } ?? .max / 2
    }

    private mutating func grow(
        _ number: Int, _ body: (inout FileImage, inout SplitMix64) -> Void
    ) {
        let before = size(of: number)
        if var file = files.removeValue(forKey: number) {
            body(&file, &random)
            files[number] = file
        }
        // A call that was let through late may meet a file that is gone for everybody else.
        if isAlive(number) { usedBytes += size(of: number) - before }
    }
}

/// The numbers that Linux gives these errors.
enum Errno {
    static let interrupted: Int32 = 4
    static let inputOutput: Int32 = 5
    static let badDescriptor: Int32 = 9
    static let invalidArgument: Int32 = 22
    static let noSpace: Int32 = 28
    static let cancelled: Int32 = 125
}
