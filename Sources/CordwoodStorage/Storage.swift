/// Where a database keeps its bytes.
///
/// The log and the indexes see files through this protocol alone, so that they run unchanged on a
/// Linux disk (``LinuxStorage``) and on a simulated one that loses power by seed.
///
/// **Durability.** Nothing is durable until it is synced: file contents after
/// ``StorageFile/sync()`` (or a write with `thenSync`), and the *existence* of a file, its new name
/// or its removal after ``syncDirectory(_:)`` on the directory that holds it. These are the rules
/// of POSIX, no more; a failed sync is never retried by this layer, since the kernel may already
/// have marked the lost pages clean.
///
/// **Threads.** Every call may be made from any task. None blocks the caller's thread: work that
/// can block runs on threads that the storage owns (``ownedThreads``). Calls return on the caller's
/// executor; a caller that is isolated to ``executor`` is resumed without changing threads.
///
/// **Cancellation.** I/O that has begun is never abandoned: a cancelled task still waits for it,
/// because the kernel may be reading its buffers.
public protocol Storage: Sendable {
    associatedtype File: StorageFile

    /// The serial executor on which this storage's completions arrive. An actor that runs here
    /// submits I/O and continues after it without a thread hop.
    var executor: any SerialExecutor { get }

    /// The same thread for whole tasks: one that prefers it reaches the storage, and is answered,
    /// without a change of threads. Work on it holds up all I/O of the storage for as long as it
    /// computes, and must never block.
    var taskExecutor: any TaskExecutor { get }

    /// Where tasks run that Cordwood starts by itself; nil for Swift's pool. A simulated storage gives
    /// its thread, so that a run repeats.
    var ownTasksExecutor: (any TaskExecutor)? { get }

    /// Runs work that is over at once on the thread of ``executor``, behind the jobs that wait
    /// there. An actor on the executor may assume its isolation inside.
    func enqueue(_ work: @escaping @Sendable () -> Void)

    /// How many threads this storage has started.
    var ownedThreads: Int { get }

    /// The clock that stamps records; simulated storages inject their own.
    var clock: any WallClock { get }

    /// A random number other than 0, to tell files apart; simulated storages give them by seed.
    func randomIdentity() -> UInt64

    /// Opens a regular file. A symbolic link, a directory, a FIFO or a device is refused.
    func open(_ path: StoragePath, _ mode: OpenMode) async throws(StorageError) -> File

    /// Creates a directory, and those above it, where missing. The entries are not yet durable.
    func createDirectory(_ path: StoragePath) async throws(StorageError)

    /// The entries of a directory, sorted by name, without `.` and `..`.
    func entries(of directory: StoragePath) async throws(StorageError) -> [DirectoryEntry]

    /// Renames a file, replacing what has the new name, atomically.
    func rename(_ source: StoragePath, to target: StoragePath) async throws(StorageError)

    /// Removes a file.
    func remove(_ path: StoragePath) async throws(StorageError)

    /// Removes an empty directory; throws ``StorageError/Code/notEmpty`` for another. Like that of a
    /// file its removal is durable by the sync of the directory that holds it.
    func removeDirectory(_ path: StoragePath) async throws(StorageError)

    /// Makes the entries of a directory durable: creations, renames and removals in it so far.
    func syncDirectory(_ path: StoragePath) async throws(StorageError)

    /// Takes an exclusive lock on a file, creating it where missing, or throws
    /// ``StorageError/Code/locked`` at once when another process, or another storage of this one,
    /// holds it. The lock is let go when the returned object is released; the system lets it go
    /// when the process dies.
    func lock(_ path: StoragePath) async throws(StorageError) -> any StorageLock

    /// Runs work that may block or take long (page faults on a cold map, a kernel over many rows)
    /// on a thread of this storage, and resumes the caller with its result. Work waits its turn in
    /// a queue; each waiter is a suspended task, so callers bound it.
    func offload<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value

    /// The same for work of seconds or minutes, such as the building of an index: it has a thread of its
    /// own for as long as it takes, so that nothing else waits behind it.
    func offloadLong<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value
}

extension Storage {
    /// The system's.
    public func randomIdentity() -> UInt64 { .random(in: 1...UInt64.max) }

    /// Where there is one thread for everything.
    public func offloadLong<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        try await offload(work)
    }
}

/// An open file of a ``Storage``. Closed by ``close()``, or when released.
///
/// Positions and counts are in bytes. Calls from several tasks may run at the same time; calls that
/// overlap in the file have no order but that of their completions.
public protocol StorageFile: AnyObject, Sendable {
    var path: StoragePath { get }

    func size() async throws(StorageError) -> Int

    /// Writes all bytes of all `writes`, in order, resubmitting short writes; with `thenSync`, also
    /// makes them durable before it returns, with every earlier completed write to this file.
    ///
    /// After an error the named ranges hold an unknown mix of old and new bytes, and nothing may be
    /// assumed durable.
    ///
    /// With `inBackground` it gives way: it may take longer by itself, but never holds up the
    /// executor's thread. For large writes beside others that somebody waits for.
    func write(
        _ writes: [FileWrite], thenSync: Bool, inBackground: Bool
    ) async throws(StorageError)

    /// Reads `count` bytes at `position`; fewer only where the file ends.
    func read(at position: Int, count: Int) async throws(StorageError) -> MemoryBlock

    /// Makes completed writes durable (`fdatasync`). Never retried after a failure.
    func sync() async throws(StorageError)

    /// Reserves space up to `size` and extends the file to it; the new bytes read as zeros.
    func preallocate(to size: Int) async throws(StorageError)

    /// Writes zeros over a range that was reserved and not yet written, past the system's cache, so
    /// that the first write of data there changes nothing but data: its sync then needs no commit
    /// of the file system's journal. Bounds are multiples of ``zeroAlignment``, below the file's size.
    ///
    /// The caller writes nothing to the range until this returns. The bytes read as zeros before,
    /// during and after, whatever happens, so nothing about it needs to be durable; after an error
    /// (`.failed` with EOPNOTSUPP where the system has no way past its cache) only the gain is lost.
    func writeZeros(_ range: Range<Int>) async throws(StorageError)

    /// Asks the system to begin to bring what was written to a range to the medium, so that a later
    /// ``sync()`` has less to do. Promises nothing, and makes nothing durable.
    func beginWriteback(_ range: Range<Int>) async

    func truncate(to size: Int) async throws(StorageError)

    /// Maps the first `count` bytes, read-only; the block keeps the map alive after ``close()``.
    /// First touches of a cold map block the thread that makes them: touch it inside
    /// ``Storage/offload(_:)``.
    ///
    /// Bytes that cannot be had any more, because somebody has cut the file or the disk fails, may
    /// read as zeros from then on, so what is served is checked after it was touched.
    func map(count: Int) async throws(StorageError) -> MemoryBlock

    /// The file for reads at random places, many at once, by threads that wait for them; it stays open
    /// for these after ``close()``. The file must not change any more.
    func randomReads() async throws(StorageError) -> any RandomReads

    func close() async
}

extension StorageFile {
    /// What bounds the ranges of ``writeZeros(_:)``: a page.
    public static var zeroAlignment: Int { 4096 }

    /// From a map of the file.
    public func randomReads() async throws(StorageError) -> any RandomReads {
        MappedReads(try await map(count: try await size()))
    }

    /// The same, and somebody waits for it.
    public func write(_ writes: [FileWrite], thenSync: Bool) async throws(StorageError) {
        try await write(writes, thenSync: thenSync, inBackground: false)
    }
}

/// Some bytes to be written at one position of a file, gathered from several blocks.
public struct FileWrite: Sendable {
    public var position: Int
    public var slices: [MemorySlice]

    public init(at position: Int, _ slices: [MemorySlice]) {
        self.position = position
        self.slices = slices
    }

    /// The bytes in all slices.
    public var count: Int { slices.reduce(0) { $0 + $1.count } }
}

/// How ``Storage/open(_:_:)`` treats a file that exists or does not.
public enum OpenMode: Sendable {
    /// Must exist; only read.
    case read
    /// Must exist; read and written.
    case readWrite
    /// Must not exist; read and written.
    case create
    /// Created where missing; read and written.
    case openOrCreate
}

public struct DirectoryEntry: Sendable, Hashable {
    public enum Kind: Sendable { case file, directory, other }
    public var name: String
    public var kind: Kind

    public init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }
}

/// Holds a lock for as long as it lives.
public protocol StorageLock: AnyObject, Sendable {}
