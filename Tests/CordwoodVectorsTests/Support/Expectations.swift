import CordwoodVectors
import Testing

/// Whether neighbours are strictly ascending by distance and then by id.
func isSorted(_ neighbors: [Neighbor]) -> Bool {
    zip(neighbors, neighbors.dropFirst()).allSatisfy {
        ($0.distance, $0.id) < ($1.distance, $1.id)
    }
}

/// Expects an error of this code whose text has these words.
func expectError(
    _ code: VectorError.Code, mentions words: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws(VectorError) -> Void
) {
    do {
        try body()
        Issue.record("no error; expected \(code)", sourceLocation: sourceLocation)
    } catch {
        #expect(error.code == code, sourceLocation: sourceLocation)
        #expect(
            error.description.contains(words), "\(error)", sourceLocation: sourceLocation)
    }
}
