public import CordwoodLog
public import CordwoodVectors

/// What a collection holds and how it is searched; fixed when it is created.
public struct CollectionConfiguration: Sendable, Hashable {
    /// Components of every vector, 1 to 65,536.
    public var dimensions: Int
    public var metric: Metric
    public var index: IndexKind
    /// How the log that holds the points is laid out.
    public var log: LogConfiguration

    public init(
        dimensions: Int, metric: Metric, index: IndexKind = .flat, log: LogConfiguration = .init()
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.index = index
        self.log = log
    }

    func validate() throws(DatabaseError) {
        do { try FlatIndex.validate(dimensions: dimensions) } catch {
            throw DatabaseError(.invalidConfiguration, "dimensions", cause: error)
        }
        do { try log.validate() } catch { throw DatabaseError(error, "the collection's log") }
    }
}

/// How a collection finds neighbours.
public enum IndexKind: String, Sendable, Hashable, CaseIterable {
    /// Exact: compares with every vector.
    case flat
}
