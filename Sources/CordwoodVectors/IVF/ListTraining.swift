/// Finds the centroids of lists.
///
/// Many are found in two levels: the rows are divided among the root of as many groups, each group's rows
/// have their share of the centroids, and a few steps over all of them put right what the borders of the
/// groups did. That takes a small part of the time of as many centroids at once, and lists are as good
/// to within what a probe more finds.
struct ListTraining {
    /// So many at once are found fast enough.
    private static let mostAtOnce = 256
    private static let steps = 10
    /// Steps over all centroids after those within groups.
    private static let wholeSteps = 3
    /// Rows to each centroid of a group.
    private static let rowsPerHead = 256
    /// Rows to each list, beyond which more change little.
    static let rowsPerList = 64

    /// In random order.
    let rows: FloatMatrix
    let threads: Int

    /// `count` centroids, at most as many as rows.
    func run(_ count: Int) throws(VectorError) -> CentroidGroups {
        let all = Lloyd(rows: rows, threads: threads)
        guard count > Self.mostAtOnce else {
            return CentroidGroups(try all.centroids(count, steps: Self.steps))
        }
        let headCount = Int(Double(count).squareRoot().rounded())
        let few = try FloatMatrix(
            rows: min(rows.rows, Self.rowsPerHead * headCount), columns: rows.columns)
        few.base.update(from: rows.base, count: few.rows * rows.columns)
        let heads = try Lloyd(rows: few, threads: threads).centroids(headCount, steps: Self.steps)
        let members = Clusters(
            CentroidGroups(heads).assign(rows.base, count: rows.rows, threads: threads),
            count: headCount)
        let sizes = (0..<headCount).map { members.members(of: $0).count }
        let shares = Self.shares(of: count, sizes)
        let starts = shares.reduce(into: [0]) { $0.append($0.last! + $1) }
        let centroids = try FloatMatrix(rows: count, columns: rows.columns)
        try divide(members, shares, starts, centroids)
        for step in 1...Self.wholeSteps {
            move(heads, to: centroids, starts)
            all.step(
                centroids, starts: starts, heads: heads, balancing: step < Self.wholeSteps)
        }
        move(heads, to: centroids, starts)
        return CentroidGroups(centroids, starts: starts, heads: heads)
    }

    /// How many of `count` centroids each group of so many rows has, at most one a row: by its part of the
    /// rows, the largest remainders rounded up.
    static func shares(of count: Int, _ sizes: [Int]) -> [Int] {
        let all = sizes.reduce(0, +)
        var shares = sizes.map { count * $0 / max(all, 1) }
        let order = sizes.indices.sorted {
            (count * sizes[$1] % max(all, 1), $0) < (count * sizes[$0] % max(all, 1), $1)
        }
        var left = count - shares.reduce(0, +)
        while left > 0 {
            let before = left
            for group in order where left > 0 && shares[group] < sizes[group] {
                shares[group] += 1
                left -= 1
            }
            precondition(left < before, "more centroids than rows")
        }
        return shares
    }

    /// Finds each group's centroids, on one thread each.
    private func divide(
        _ members: Clusters, _ shares: [Int], _ starts: [Int], _ centroids: FloatMatrix
    ) throws(VectorError) {
        let failure = FirstError()
        ParallelWork.run(shares.indices, chunk: 1, threads: threads) { [rows] _, groups in
            for group in groups where shares[group] > 0 {
                do throws(VectorError) {
                    let members = members.members(of: group)
                    let own = try FloatMatrix(rows: members.count, columns: rows.columns)
                    for (place, row) in members.enumerated() {
                        own.row(place).update(from: rows.row(Int(row)), count: rows.columns)
                    }
                    let found = try Lloyd(rows: own, threads: 1)
                        .centroids(shares[group], steps: Self.steps)
                    centroids.row(starts[group]).update(
                        from: found.base, count: found.rows * rows.columns)
                } catch { failure.note(error) }
            }
        }
        try failure.check()
    }

    /// Moves each group's own centroid to the mean of its centroids.
    private func move(_ heads: FloatMatrix, to centroids: FloatMatrix, _ starts: [Int]) {
        for group in 0..<heads.rows where starts[group] < starts[group + 1] {
            let range = starts[group]..<starts[group + 1]
            for column in 0..<heads.columns {
                let sum = range.reduce(0.0) { $0 + Double(centroids.row($1)[column]) }
                heads.row(group)[column] = Float(sum / Double(range.count))
            }
        }
    }
}
