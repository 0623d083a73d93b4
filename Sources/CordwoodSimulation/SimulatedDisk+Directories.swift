internal import CordwoodStorage

/// Entries: made, renamed, removed, listed and synced.
extension SimulatedDisk {
    /// The number of the file at `path`, made where `mode` allows.
    mutating func open(_ path: StoragePath, _ mode: OpenMode) throws(StorageError) -> Int {
        if node(at: path) != nil {
            if case .create = mode {
                throw StorageError(.exists, operation: "open", path: path.description)
            }
            return try file(at: path, "open")
        }
        switch mode {
        case .read, .readWrite:
            throw StorageError(.notFound, operation: "open", path: path.description)
        case .create, .openOrCreate:
            guard let name = path.names.last else {
                throw StorageError(.wrongKind, operation: "open", path: path.description)
            }
            let parent = try directory(at: path.parent, "open")
            let number = newNumber()
            files[number] = FileImage()
            gainName(number)
            change([(.init(directory: parent, name: name), .file(number))])
            return number
        }
    }

    mutating func createDirectory(_ path: StoragePath) throws(StorageError) {
        var parent = Self.rootNumber
        for name in path.names {
            switch directories[parent]?.cached[name] {
            case .directory(let number): parent = number
            case .file:
                throw StorageError(
                    .wrongKind, operation: "mkdir", path: path.description,
                    detail: "expected a directory, found a regular file named \(name)")
            case nil:
                let number = newNumber()
                directories[number] = DirectoryImage()
                change([(.init(directory: parent, name: name), .directory(number))])
                parent = number
            }
        }
    }

    mutating func removeDirectory(_ path: StoragePath) throws(StorageError) {
        let number = try directory(at: path, "rmdir")
        let parent = try directory(at: path.parent, "rmdir")
        guard let name = path.names.last, directories[number]?.cached.isEmpty == true else {
            throw StorageError(.notEmpty, operation: "rmdir", path: path.description)
        }
        change([(.init(directory: parent, name: name), nil)])
    }

    func entries(of path: StoragePath) throws(StorageError) -> [DirectoryEntry] {
        let entries = directories[try directory(at: path, "getdents")]?.cached ?? [:]
        return entries.sorted { $0.key < $1.key }.map { name, node in
            switch node {
            case .file: DirectoryEntry(name: name, kind: .file)
            case .directory: DirectoryEntry(name: name, kind: .directory)
            }
        }
    }

    mutating func rename(
        _ source: StoragePath, to target: StoragePath
    ) throws(StorageError) {
        let number = try file(at: source, "rename")
        let sourceParent = try directory(at: source.parent, "rename")
        let targetParent = try directory(at: target.parent, "rename")
        guard let sourceName = source.names.last, let targetName = target.names.last else {
            throw StorageError(.wrongKind, operation: "rename", path: target.description)
        }
        if source == target { return }
        if node(at: target) != nil { loseName(try file(at: target, "rename")) }
        change([
            (.init(directory: sourceParent, name: sourceName), nil),
            (.init(directory: targetParent, name: targetName), .file(number)),
        ])
    }

    mutating func remove(_ path: StoragePath) throws(StorageError) {
        let number = try file(at: path, "unlink")
        let parent = try directory(at: path.parent, "unlink")
        guard let name = path.names.last else { return }
        loseName(number)
        change([(.init(directory: parent, name: name), nil)])
    }

    /// Makes the entries of one directory durable, and of others what those cannot do without: a
    /// rename between two directories, and the changes that it follows.
    mutating func syncDirectory(_ number: Int) {
        var needed: Set<EntryChange.Name> = []
        var synced = [Bool](repeating: false, count: pending.count)
        for index in pending.indices.reversed() {
            let change = pending[index]
            let isOwn = !change.isLost && change.changes.contains { $0.name.directory == number }
            if isOwn || change.changes.contains(where: { needed.contains($0.name) }) {
                synced[index] = true
                needed.formUnion(change.changes.map(\.name))
            }
        }
        for index in pending.indices where synced[index] { settle(pending[index]) }
        pending = pending.indices.filter { !synced[$0] }.map { pending[$0] }
        dropUnreachableFiles()
    }

    /// A sync of a directory that failed: its changes stay visible, and later syncs skip them.
    mutating func failSyncDirectory(_ number: Int) {
        for index in pending.indices
        where pending[index].changes.contains(where: { $0.name.directory == number }) {
            pending[index].isLost = true
        }
    }

    /// Writes a change to the durable entries.
    mutating func settle(_ change: EntryChange) {
        for (name, node) in change.changes {
            directories[name.directory]?.durable[name.name] = node
        }
    }

    private mutating func change(_ changes: [(name: EntryChange.Name, node: Node?)]) {
        for (name, node) in changes {
            directories[name.directory]?.cached[name.name] = node
        }
        pending.append(EntryChange(changes: changes))
    }
}

extension SimulatedDisk {
    /// The places of all files, sorted.
    func paths() -> [StoragePath] {
        var found: [StoragePath] = []
        var queue = [(StoragePath.root, Self.rootNumber)]
        while let (path, number) = queue.popLast() {
            for (name, node) in directories[number]?.cached ?? [:] {
                // Names got in through a path, so they are good.
                guard let child = try? path.appending(name) else { continue }
                switch node {
                case .file: found.append(child)
                case .directory(let number): queue.append((child, number))
                }
            }
        }
        return found.sorted { $0.description < $1.description }
    }
}
