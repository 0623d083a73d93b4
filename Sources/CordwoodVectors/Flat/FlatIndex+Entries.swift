extension FlatIndex {
    /// The ids that the index has, each with the offset that its vector was stored with, in no
    /// particular order. O(count).
    package borrowing func entries() -> [(id: UInt64, offset: Int64)] {
        var entries: [(id: UInt64, offset: Int64)] = []
        entries.reserveCapacity(count)
        forEachBlock { block, rows in
            for row in 0..<rows {
                let id = block.ids[row]
                // Every row has an id, and every id an offset.
                entries.append((id, offset(of: id) ?? 0))
            }
        }
        return entries
    }
}
