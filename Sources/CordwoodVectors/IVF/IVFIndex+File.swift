public import CordwoodStorage

extension IVFIndex {
    public func save<S: Storage>(to path: StoragePath, on storage: S) async throws(VectorError) {
        fatalError()
    }
}
