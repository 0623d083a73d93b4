import Cordwood
import Testing

/// Expects a database error of that code whose text has `words` in it.
func expectDatabaseError(
    _ code: DatabaseError.Code, _ words: String = "", _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
    do {
        try await body()
        Issue.record(
            "expected the error \(code), none was thrown; \(comment?.rawValue ?? "")",
            sourceLocation: sourceLocation)
    } catch let error as DatabaseError {
        #expect(error.code == code, "\(error) \(comment ?? "")", sourceLocation: sourceLocation)
        #expect("\(error)".contains(words), "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("expected a database error, found \(error)", sourceLocation: sourceLocation)
    }
}

/// Waits until `condition` holds; fails the test when it does not within a minute, or more
/// on a loaded machine.
func eventually(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    for _ in 0..<60_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    Issue.record(what, sourceLocation: sourceLocation)
}
