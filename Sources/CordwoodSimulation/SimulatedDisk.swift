internal import CordwoodStorage

/// The state of a disk and of the kernel's cache before it: files, directories, and for each what
/// is durable. A value with synchronous methods; ``SimulatedStorage`` puts it behind a lock.
///
/// Files and directories have numbers, which are never used twice. Directory entries are durable on
/// their own: every creation, rename and removal waits in ``pending`` until its directory is
/// synced.
struct SimulatedDisk {
    static let rootNumber = 0

    var files: [Int: FileImage] = [:]
    var directories: [Int: DirectoryImage] = [SimulatedDisk.rootNumber: DirectoryImage()]
    /// Changes of entries that are not durable, oldest first.
    var pending: [EntryChange] = []
    var random: SplitMix64
    /// What all files together may hold, or nil.
    var capacityBytes: Int?
    /// The sizes of all files that have a name or are open.
    var usedBytes = 0

    private var nextNumber = SimulatedDisk.rootNumber + 1
    /// Open handles by file, which keep a removed file alive.
    private var handles: [Int: Int] = [:]
    /// Files that have a name.
    private var named: Set<Int> = []

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    // MARK: Names

    /// What a path leads to, or nil where nothing has that name.
    func node(at path: StoragePath, durable: Bool = false) -> Node? {
        var node = Node.directory(Self.rootNumber)
        for name in path.names {
            guard case .directory(let number) = node, let directory = directories[number],
                let next = (durable ? directory.durable : directory.cached)[name]
            else { return nil }
            node = next
        }
        return node
    }

    func file(at path: StoragePath, _ operation: String) throws(StorageError) -> Int {
        switch node(at: path) {
        case .file(let number): return number
        case .directory:
            throw StorageError(
                .wrongKind, operation: operation, path: path.description,
                detail: "expected a regular file, found a directory")
        case nil: throw StorageError(.notFound, operation: operation, path: path.description)
        }
    }

    func directory(at path: StoragePath, _ operation: String) throws(StorageError) -> Int {
        switch node(at: path) {
        case .directory(let number): return number
        case .file:
            throw StorageError(
                .wrongKind, operation: operation, path: path.description,
                detail: "expected a directory, found a regular file")
        case nil: throw StorageError(.notFound, operation: operation, path: path.description)
        }
    }

    mutating func newNumber() -> Int {
        defer { nextNumber += 1 }
        return nextNumber
    }

    // MARK: Life of a file

    /// Whether a file takes up space: it has a name or is open.
    func isAlive(_ number: Int) -> Bool { named.contains(number) || handles[number] != nil }

    mutating func retain(_ number: Int) { handles[number, default: 0] += 1 }

    mutating func release(_ number: Int) {
        guard let count = handles[number] else { return }
        handles[number] = count == 1 ? nil : count - 1
        if count == 1, !named.contains(number) { usedBytes -= files[number]?.size ?? 0 }
    }

    /// A file got a name.
    mutating func gainName(_ number: Int) { named.insert(number) }

    /// A file lost its name; its space is free once nobody has it open.
    mutating func loseName(_ number: Int) {
        named.remove(number)
        if handles[number] == nil { usedBytes -= files[number]?.size ?? 0 }
    }

    /// After a crash: no handle is left, `named` are the files that have a name, and only those in
    /// `kept` (nil: all that a power cut could still bring back) exist.
    mutating func restart(named: Set<Int>, keeping kept: Set<Int>?) {
        handles = [:]
        self.named = named
        if let kept {
            files = files.filter { kept.contains($0.key) }
        } else {
            dropUnreachableFiles()
        }
        usedBytes = named.reduce(0) { $0 + size(of: $1) }
    }

    /// Drops the files that nothing can reach again: not a name, not a handle, not a crash.
    mutating func dropUnreachableFiles() {
        var reachable = named.union(handles.keys)
        for directory in directories.values {
            for case .file(let number) in directory.durable.values { reachable.insert(number) }
        }
        for case .file(let number)? in pending.flatMap(\.changes).map(\.node) {
            reachable.insert(number)
        }
        files = files.filter { reachable.contains($0.key) }
    }
}

/// What a name stands for.
enum Node: Hashable {
    case file(Int)
    case directory(Int)
}

/// The entries of one directory: as programs see them, and as a power cut would leave them for
/// certain.
struct DirectoryImage {
    var cached: [String: Node] = [:]
    var durable: [String: Node] = [:]
}

/// One operation on directory entries, which a crash keeps whole or not at all: a rename is two
/// changes.
struct EntryChange {
    struct Name: Hashable {
        var directory: Int
        var name: String
    }

    /// Each name with what it stands for afterwards; nil is nothing.
    var changes: [(name: Name, node: Node?)]
    /// A sync of its directory failed: like the pages of a file, it is not tried again.
    var isLost = false
}
