internal import CordwoodStorage

extension VectorError {
    /// Runs what the storage may fail at, and says what it was for.
    static func of<Value>(
        _ purpose: String, _ body: () async throws(StorageError) -> Value
    ) async throws(VectorError) -> Value {
        do throws(StorageError) {
            return try await body()
        } catch { throw VectorError(.storage, "\(purpose): \(error)") }
    }
}
