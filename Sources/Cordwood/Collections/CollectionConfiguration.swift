public import CordwoodLog
public import CordwoodVectors

/// What a collection holds and how it is searched; fixed when it is created.
public struct CollectionConfiguration: Sendable, Hashable {
    /// What ``sealAfter`` may be.
    public static let sealAfterRange = 1...1 << 30

    /// Components of every vector, 1 to 65,536.
    public var dimensions: Int
    public var metric: Metric
    public var index: IndexKind
    /// How many points the head gathers before they are sealed into a segment. Searches compare with
    /// every vector of the head, so they take longer the more it holds; segments that are built less
    /// often are larger and fewer.
    public var sealAfter: Int
    /// How the log that holds the points is laid out.
    public var log: LogConfiguration

    public init(
        dimensions: Int, metric: Metric, index: IndexKind = .flat, sealAfter: Int = 50_000,
        log: LogConfiguration = .init()
    ) {
        self.dimensions = dimensions
        self.metric = metric
        self.index = index
        self.sealAfter = sealAfter
        self.log = log
    }

    /// How many points the head holds at most, and those of one more upsert: so many times
    /// ``sealAfter``. Upserts that outrun the building of segments wait then until there is room. Nil for
    /// ``IndexKind/flat``, where all points stay in the head.
    public var headLimit: Int? { index == .flat ? nil : Self.sealsAtMostBehind * sealAfter }
    private static let sealsAtMostBehind = 4

    /// Throws ``DatabaseError/Code/invalidConfiguration`` for numbers that cannot work.
    public func validate() throws(DatabaseError) {
        do { try FlatIndex.validate(dimensions: dimensions) } catch {
            throw DatabaseError(.invalidConfiguration, "dimensions", cause: error)
        }
        try index.validate()
        guard Self.sealAfterRange.contains(sealAfter) else {
            throw DatabaseError(
                .invalidConfiguration,
                "sealAfter: expected \(Self.sealAfterRange.lowerBound) to "
                    + "\(Self.sealAfterRange.upperBound), found \(sealAfter)")
        }
        do { try log.validate() } catch { throw DatabaseError(error, "the collection's log") }
    }
}
