import CordwoodStorage
import TestSupport

@testable import Cordwood
@testable import CordwoodLog
@testable import CordwoodVectors

extension FuzzTarget {
    /// Edits of manifests and catalogs: a length byte and a payload each, applied one after the other.
    static let edits = FuzzTarget(name: "edits") { input in
        _ = EditFrame.mayHaveLaterGroup(input, behind: 0, sequence: 0)
        _ = try? EditFrame.checkHeader(input, kind: .segments, path: .root)
        var manifest = Manifest()
        var rest = input[...]
        while let length = rest.popFirst() {
            let payload = [UInt8](rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
            _ = CatalogEdit(payload)
            guard let edit = SegmentEdit(payload), (try? manifest.apply(edit)) != nil else {
                continue
            }
            precondition(SegmentEdit(edit.encode()) == edit, "an edit reads back as another")
        }
        var again = Manifest()
        for edit in manifest.snapshot() {
            guard (try? again.apply(edit)) != nil else {
                preconditionFailure("a manifest refuses its own snapshot")
            }
        }
    }

    /// Records of the database's own topics and of collections, snapshots of folds, and what is written
    /// of the segments of collections.
    static let state = FuzzTarget(name: "state") { input in
        guard let first = input.first else { return }
        let rest = input.dropFirst()
        let cut = min(Int(first), rest.count)
        let record = StoredRecord(
            offset: 1, timestamp: 1, key: [UInt8](rest.prefix(cut)),
            value: [UInt8](rest.dropFirst(cut)), headers: [])
        _ = try? OffsetRecord(record)
        _ = try? TransactionRecord(record)
        _ = ControlRecord(key: record.key, value: record.value)
        _ = try? PointCodec.point(of: record, dimensions: 3)
        let block = MemoryBlock(copying: [UInt8](input))
        _ = try? FoldSnapshot(block)
        _ = try? SegmentManifest(block)
        _ = try? SegmentPlaces.decode(block, number: 1, count: max(0, (input.count - 32) / 8))
    }

    private static let folder = TemporaryDirectory()

    /// A file of vectors, in the format that its first byte chooses.
    static let vectors = FuzzTarget(name: "vectors") { input in
        guard let first = input.first else { return }
        let name = "file." + ["npy", "fvecs", "bvecs", "ivecs"][Int(first) % 4]
        let path = folder.write(name, [UInt8](input.dropFirst()))
        guard let vectors = try? VectorFile.open(path) else { return }
        let rows = 0..<min(vectors.rows, 64)
        var row = [Float](repeating: 0, count: rows.count * min(vectors.dimensions, 4096))
        if vectors.dimensions <= 4096 { try? vectors.readRows(rows, into: &row) }
    }
}
