import CordwoodStorage

/// The names of a log's files.
enum SegmentFiles {
    static func log(_ id: SegmentID, in directory: StoragePath) -> StoragePath {
        path(id, "log", in: directory)
    }

    static func index(_ id: SegmentID, in directory: StoragePath) -> StoragePath {
        path(id, "index", in: directory)
    }

    static func timeIndex(_ id: SegmentID, in directory: StoragePath) -> StoragePath {
        path(id, "timeindex", in: directory)
    }

    static func transactionIndex(_ id: SegmentID, in directory: StoragePath) -> StoragePath {
        path(id, "txnindex", in: directory)
    }

    /// The state of the producers at an offset, whatever the generation of the segment there.
    static func producerSnapshot(_ offset: Int64, in directory: StoragePath) -> StoragePath {
        path(SegmentID(baseOffset: offset), "snapshot", in: directory)
    }

    /// The next segment, before it has a name of its own; see ``SpareSegment``.
    static let spareName = "segment.spare"

    static func spare(in directory: StoragePath) -> StoragePath {
        path(named: spareName, in: directory)
    }

    /// All files that belong to one segment and go with it.
    static func all(_ id: SegmentID, in directory: StoragePath) -> [StoragePath] {
        [
            log(id, in: directory), index(id, in: directory), timeIndex(id, in: directory),
            transactionIndex(id, in: directory),
        ]
    }

    /// The segment that a file's name states; nil for another file.
    static func id(ofLogNamed name: String) -> SegmentID? {
        guard name.hasSuffix(".log") else { return nil }
        return SegmentID(name: name.dropLast(4))
    }

    /// Whether a file with that name is a log's, finished or on its way.
    static func isOfALog(_ name: String) -> Bool {
        let finished = name.hasSuffix(stagedSuffix) ? name.dropLast(stagedSuffix.count) : name[...]
        if finished == manifestName || finished == spareName { return true }
        let suffixes = [".log", ".index", ".timeindex", ".txnindex", ".snapshot"]
        return suffixes.contains { finished.hasSuffix($0) }
            && SegmentID(name: finished.prefix { $0 != "." }) != nil
    }

    /// The list of a log's segments.
    static let manifestName = "manifest"

    /// What the name of a file ends with until it is whole.
    private static let stagedSuffix = ".new"

    /// The offset that a producer snapshot's name states; nil for another file.
    static func offset(ofSnapshotNamed name: String) -> Int64? {
        guard name.hasSuffix(".snapshot"), let id = SegmentID(name: name.dropLast(9)),
            id.generation == 0
        else { return nil }
        return id.baseOffset
    }

    private static func path(
        _ id: SegmentID, _ suffix: String, in directory: StoragePath
    ) -> StoragePath {
        path(named: "\(id).\(suffix)", in: directory)
    }

    private static func path(named name: String, in directory: StoragePath) -> StoragePath {
        do { return try directory.appending(name) } catch {
            preconditionFailure("a name of digits and letters is a valid name: \(error)")
        }
    }
}
