import CordwoodVectors

/// A change to the points of a collection, and the offset of the record that made it.
struct PointMutation: Sendable {
    var id: UInt64
    /// Nil: the id is gone.
    var vector: [Float]?
    var offset: Int64

    /// Makes the change. Vectors are validated before they are appended, so only a lack of room, or
    /// a log that somebody else wrote, can fail.
    func apply(to index: inout FlatIndex) throws(VectorError) {
        guard let vector else {
            _ = index.remove(id: id)
            return
        }
        try index.upsert(id: id, vector: vector.span, offset: offset)
    }
}
