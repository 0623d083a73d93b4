/// How a simulated machine goes down.
public enum Crash: Sendable, Hashable {
    /// The power is cut, and by seed each unsynced sector, size and directory entry is either the
    /// old or the new one.
    case bySeed
    /// The power is cut, and nothing that was not synced survives.
    case dropUnsynced
    /// The process dies and the kernel lives: everything written survives, and can still be lost by
    /// a later power cut.
    case keepAll
}

extension SimulatedDisk {
    /// Goes down and comes up again: no handle survives, and of the rest what `crash` says.
    mutating func crash(_ crash: Crash) {
        if crash != .keepAll {
            settleEntries(keepingSome: crash == .bySeed)
            for number in files.keys.sorted() {
                files[number]?.losePower(&random, keepingSome: crash == .bySeed)
            }
        }
        let reached = reachable()
        if crash != .keepAll {
            directories = directories.filter { reached.directories.contains($0.key) }
            restart(named: reached.files, keeping: reached.files)
        } else {
            restart(named: reached.files, keeping: nil)
        }
    }

    /// Decides for each pending change whether it survived. One that did not takes with it those
    /// after it that concern the same names, as a journal would.
    private mutating func settleEntries(keepingSome: Bool) {
        var dropped: Set<EntryChange.Name> = []
        for change in pending {
            let names = change.changes.map(\.name)
            if keepingSome, random.coin(), dropped.isDisjoint(with: names) {
                settle(change)
            } else {
                dropped.formUnion(names)
            }
        }
        pending = []
        for number in directories.keys {
            let survivors = directories[number]?.durable ?? [:]
            directories[number]?.cached = survivors
        }
    }

    /// What names lead to from the root.
    private func reachable() -> (files: Set<Int>, directories: Set<Int>) {
        var files: Set<Int> = []
        var found: Set<Int> = [Self.rootNumber]
        var queue = [Self.rootNumber]
        while let number = queue.popLast() {
            for node in (directories[number]?.cached ?? [:]).values {
                switch node {
                case .file(let file): files.insert(file)
                case .directory(let child): if found.insert(child).inserted { queue.append(child) }
                }
            }
        }
        return (files, found)
    }
}
