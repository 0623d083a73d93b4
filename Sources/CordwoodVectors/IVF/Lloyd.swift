/// k-means by Lloyd's steps over rows in random order.
///
/// Means are summed in double precision and in the order of the rows, and rows are assigned in tiles of
/// one size, so that centroids are the same with any number of threads on one machine; the products of
/// OpenBLAS may be rounded differently on another.
struct Lloyd {
    /// A cluster with this many times the mean is too large, one with this part of it too small.
    private static let overfull = 4
    private static let underfull = 8
    /// Clusters whose means a thread computes at a time.
    private static let chunk = 16

    let rows: FloatMatrix
    let threads: Int

    /// `count` centroids, at most as many as rows, after `steps` steps. Where many rows are equal, some
    /// centroids may be nearest to none.
    func centroids(_ count: Int, steps: Int) throws(VectorError) -> FloatMatrix {
        let centroids = try FloatMatrix(rows: count, columns: rows.columns)
        centroids.base.update(from: rows.base, count: count * rows.columns)
        for step in 0..<steps {
            let clusters = clusters(of: centroids, starts: nil, heads: nil)
            move(centroids, to: clusters)
            if step < steps - 1 { balance(centroids, clusters) }
        }
        return centroids
    }

    /// One step of centroids that lie in groups.
    func step(
        _ centroids: FloatMatrix, starts: [Int], heads: FloatMatrix, balancing: Bool
    ) {
        let clusters = clusters(of: centroids, starts: starts, heads: heads)
        move(centroids, to: clusters)
        if balancing { balance(centroids, clusters) }
    }

    private func clusters(
        of centroids: FloatMatrix, starts: [Int]?, heads: FloatMatrix?
    ) -> Clusters {
        let groups =
            if let starts, let heads {
                CentroidGroups(centroids, starts: starts, heads: heads)
            } else {
                CentroidGroups(centroids)
            }
        return Clusters(
            groups.assign(rows.base, count: rows.rows, threads: threads), count: centroids.rows)
    }

    /// Moves each centroid to the mean of its rows; one without rows stays.
    private func move(_ centroids: FloatMatrix, to clusters: Clusters) {
        let columns = rows.columns
        ParallelWork.run(0..<centroids.rows, chunk: Self.chunk, threads: threads) {
            [rows] _, chunk in
            var sums = [Double](repeating: 0, count: columns)
            for cluster in chunk {
                let members = clusters.members(of: cluster)
                guard !members.isEmpty else { continue }
                for column in 0..<columns { sums[column] = 0 }
                for member in members {
                    let row = rows.row(Int(member))
                    for column in 0..<columns { sums[column] += Double(row[column]) }
                }
                let centroid = centroids.row(cluster)
                for column in 0..<columns {
                    centroid[column] = Float(sums[column] / Double(members.count))
                }
            }
        }
    }

    /// Moves the centroids of clusters that are empty, or small beside one that is much too large, to
    /// rows of the largest, which the next step divides.
    private func balance(_ centroids: FloatMatrix, _ clusters: Clusters) {
        let mean = max(rows.rows / centroids.rows, 1)
        let bySize = (0..<centroids.rows).sorted {
            (clusters.members(of: $0).count, $0) < (clusters.members(of: $1).count, $1)
        }
        var small = 0
        var large = bySize.count - 1
        while small < large {
            let (few, many) = (
                clusters.members(of: bySize[small]), clusters.members(of: bySize[large])
            )
            let isWorthIt =
                few.isEmpty
                ? many.count > 1
                : many.count > Self.overfull * mean && few.count < mean / Self.underfull
            guard isWorthIt else { return }
            centroids.row(bySize[small]).update(
                from: rows.row(Int(many[many.startIndex + many.count / 2])), count: rows.columns)
            small += 1
            large -= 1
        }
    }
}

/// Rows by the number that each was given, each number's in their order.
struct Clusters {
    /// Those of number i are from `starts[i]` up to `starts[i + 1]`.
    let starts: [UInt32]
    private let ordered: [UInt32]

    /// Numbers are below `count`.
    init(_ numbers: [UInt32], count: Int) {
        var ends = [UInt32](repeating: 0, count: count + 1)
        for number in numbers { ends[Int(number) + 1] += 1 }
        for number in 0..<count { ends[number + 1] += ends[number] }
        starts = ends
        ordered = [UInt32](unsafeUninitializedCapacity: numbers.count) { ordered, initialized in
            for (row, number) in numbers.enumerated() {
                ordered[Int(ends[Int(number)])] = UInt32(row)
                ends[Int(number)] += 1
            }
            initialized = numbers.count
        }
    }

    func members(of number: Int) -> ArraySlice<UInt32> {
        ordered[Int(starts[number])..<Int(starts[number + 1])]
    }

    /// The rows of all numbers, one number's after the other's.
    var order: [UInt32] { ordered }
}
