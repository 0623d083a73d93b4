internal import CordwoodStorage

// The section `reca` of a file of an index.

extension RecallCalibration {
    private static let pointBytes = 16
    private static let maximumPoints = 64

    var encoded: MemorySlice {
        var writer = ByteWriter(count: Self.pointBytes * points.count)
        for point in points {
            writer.littleEndian(UInt64(point.ef))
            writer.littleEndian(point.recall.bitPattern)
        }
        return MemorySlice(writer.block)
    }

    init(checking bytes: MemorySlice?) throws(VectorError) {
        guard let bytes, bytes.count % Self.pointBytes == 0,
            bytes.count / Self.pointBytes <= Self.maximumPoints
        else { throw VectorError(.damaged, "section reca: \(bytes?.count ?? 0) bytes") }
        points = []
        for position in stride(from: 0, to: bytes.count, by: Self.pointBytes) {
            let ef = bytes.unsafeBytes.number(position, UInt64.self)
            let recall = Double(bitPattern: bytes.unsafeBytes.number(position + 8, UInt64.self))
            let last = points.last ?? Point(ef: 0, recall: 0)
            guard ef > last.ef, ef <= HNSWIndex.effortRange.upperBound, recall >= last.recall,
                recall <= 1
            else { throw VectorError(.damaged, "section reca: recall \(recall) with ef \(ef)") }
            points.append(Point(ef: Int(ef), recall: recall))
        }
    }
}
