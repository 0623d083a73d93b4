import Glibc

/// Files below one directory of a Linux file system.
///
/// Writes, reads and syncs go through an io_uring, or through plain system calls on worker threads
/// where io_uring is missing or forbidden; ``ioPath`` says which. Everything else that can block
/// runs on worker threads in both cases.
///
/// **Threads.** One for the executor and its ring (or one and ``ThreadExecutor/workerCount``
/// workers), ``fileWorkerCount`` for files, and ``offloadWorkerCount`` for ``offload(_:)``. They
/// end when the storage, its files and its executor are released; what is in flight completes
/// first. The kernel adds helper threads of its own to a ring, which are not counted.
///
/// **Confinement.** No symbolic link below the root is followed, and nothing but regular files is
/// opened. The root's own path may contain links.
public final class LinuxStorage: Storage {
    /// Threads for opening, renaming, mapping and the like.
    static let fileWorkerCount = 2

    /// Threads for ``offload(_:)``: the processors that the process may use, at least two.
    static let offloadWorkerCount = max(2, activeProcessorCount())

    public struct Options: Sendable {
        /// Create the root directory, and those above it, where missing.
        public var createsRoot: Bool
        /// The I/O path to insist on. Nil obeys `CORDWOOD_IO` in the environment and, where that
        /// is not set, takes the ring when the kernel grants one.
        public var ioPath: IOPath?
        public var clock: any WallClock

        public init(
            createsRoot: Bool = true, ioPath: IOPath? = nil, clock: any WallClock = SystemClock()
        ) {
            self.createsRoot = createsRoot
            self.ioPath = ioPath
            self.clock = clock
        }
    }

    public let clock: any WallClock
    /// How writes, reads and syncs reach the kernel.
    public let ioPath: IOPath
    /// Why the kernel granted no ring, where the storage fell back to threads by itself.
    public let ringRefusal: StorageError?

    let loop: any FileLoop
    let fileWorkers: WorkerPool
    private let offloadWorkers: WorkerPool
    let resolver: PathResolver

    public var executor: any SerialExecutor { loop }
    public let taskExecutor: any TaskExecutor
    public var ownTasksExecutor: (any TaskExecutor)? { nil }

    public var ownedThreads: Int {
        loop.threadCount + fileWorkers.threadCount + offloadWorkers.threadCount
    }

    private init(
        loop: any FileLoop, ioPath: IOPath, ringRefusal: StorageError?, fileWorkers: WorkerPool,
        offloadWorkers: WorkerPool, resolver: PathResolver, clock: any WallClock
    ) {
        self.loop = loop
        taskExecutor = LoopTaskExecutor(loop)
        self.ioPath = ioPath
        self.ringRefusal = ringRefusal
        self.fileWorkers = fileWorkers
        self.offloadWorkers = offloadWorkers
        self.resolver = resolver
        self.clock = clock
    }

    /// Opens the directory `root` and starts the threads.
    ///
    /// Directories created for it are durable when this returns. Throws `.notFound` or `.wrongKind`
    /// for a root that is missing or no directory, and `.failed` where the system refuses threads
    /// or the I/O path that was insisted on.
    public static func open(
        root: String, _ options: Options = Options()
    ) async throws(StorageError) -> LinuxStorage {
        let demanded =
            if let ioPath = options.ioPath { ioPath } else { try IOPath.fromEnvironment() }
        let fileWorkers: WorkerPool
        let offloadWorkers: WorkerPool
        do throws(Errno) {
            fileWorkers = try WorkerPool(named: "cordwood-file", threadCount: fileWorkerCount)
            offloadWorkers = try WorkerPool(
                named: "cordwood-work", threadCount: offloadWorkerCount)
        } catch {
            throw error.on(.root, "start threads")
        }
        let createsRoot = options.createsRoot
        let descriptor = try await fileWorkers.run { () throws(StorageError) in
            try RootDirectory.open(root, creating: createsRoot)
        }
        let (loop, ioPath, refusal) = try await startLoop(demanded)
        return LinuxStorage(
            loop: loop, ioPath: ioPath, ringRefusal: refusal, fileWorkers: fileWorkers,
            offloadWorkers: offloadWorkers, resolver: PathResolver(root: descriptor),
            clock: options.clock)
    }

    private static func startLoop(
        _ demanded: IOPath?
    ) async throws(StorageError) -> (any FileLoop, IOPath, StorageError?) {
        var refusal: StorageError?
        if demanded != .threads {
            do throws(Errno) {
                return (try await RingExecutor(), .uring, nil)
            } catch {
                refusal = error.on(
                    .root, "io_uring_setup", detail: "the kernel grants no usable io_uring")
            }
        }
        if demanded == .uring, let refusal { throw refusal }
        do throws(Errno) {
            return (try ThreadExecutor(), .threads, refusal)
        } catch {
            throw error.on(.root, "start threads")
        }
    }

    public func enqueue(_ work: @escaping @Sendable () -> Void) { loop.add(.work(work)) }

    public func open(
        _ path: StoragePath, _ mode: OpenMode
    ) async throws(StorageError) -> LinuxFile {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            case .openOrCreate: O_RDWR | O_CREAT
            }
        let descriptor = try await fileWorkers.run { [resolver] () throws(StorageError) in
            try resolver.openFile(path, flags: flags)
        }
        return LinuxFile(path: path, descriptor: descriptor, loop: loop, workers: fileWorkers)
    }

    public func offload<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        try await offloadWorkers.run(work)
    }

    public func offloadLong<Value: Sendable, Failure: Error>(
        _ work: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        // The thread ends with the pool. Where the system has none to give, the work waits with others.
        let worker = (try? WorkerPool(named: "cordwood-long", threadCount: 1)) ?? offloadWorkers
        return try await worker.run(work)
    }

    package static func activeProcessorCount() -> Int {
        max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }
}
