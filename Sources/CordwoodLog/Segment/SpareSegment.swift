import CordwoodStorage

/// The file of the next segment, made while the active one fills up, so that a roll has no space to
/// find and appends behind it meet pages that hold zeros.
///
/// Holds nothing, and belongs to no segment before ``become(_:page:on:)`` gives it a name. One that a
/// crash leaves behind is removed by the next opening.
struct SpareSegment<S: Storage> {
    private let file: S.File
    /// The file reaches this far.
    let reserved: Int
    /// Its pages were written up to here.
    let zeroed: Int

    /// Makes the file, `byteCount` long, with zeros in its first `zeroCount` bytes. After a failure
    /// there is none. Nothing about it is durable yet, nor needs to be.
    static func prepare(
        in directory: StoragePath, on storage: S, byteCount: Int, zeroCount: Int, stepBytes: Int
    ) async throws(StorageError) -> SpareSegment {
        let path = SegmentFiles.spare(in: directory)
        let file = try await storage.open(path, .openOrCreate)
        do throws(StorageError) {
            try await file.truncate(to: 0)
            try await file.preallocate(to: byteCount)
        } catch {
            await file.close()
            try? await storage.remove(path)
            throw error
        }
        var zeroed = 0
        do throws(StorageError) {
            let end = min(zeroCount, byteCount) / S.File.zeroAlignment * S.File.zeroAlignment
            while zeroed < end {
                let next = min(zeroed + stepBytes, end)
                try await file.writeZeros(zeroed..<next)
                zeroed = next
            }
        } catch {
            // The bytes read as zeros all the same; only the gain is lost.
            zeroed = 0
        }
        return SpareSegment(file: file, reserved: byteCount, zeroed: zeroed)
    }

    /// Writes a segment's first page, durably, and takes its name, which is not durable yet. Returns
    /// the file under that name. There must be no file of that name.
    func become(
        _ path: StoragePath, page: [FileWrite], on storage: S
    ) async throws(StorageError) -> S.File {
        do throws(StorageError) { try await file.write(page, thenSync: true) } catch {
            await file.close()
            throw error
        }
        await file.close()
        try await storage.rename(file.path, to: path)
        return try await storage.open(path, .readWrite)
    }

    /// Gives the space back.
    func discard(on storage: S) async throws(StorageError) {
        await file.close()
        try await storage.remove(file.path)
    }
}
