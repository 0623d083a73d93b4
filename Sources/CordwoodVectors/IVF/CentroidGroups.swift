internal import CCordwoodKernels

/// Centroids, and those that are near to each other in groups, so that the one nearest to a row is looked
/// for in the groups nearest to it alone.
///
/// With the root of n groups that is as many products as with a few times the root of n centroids. Of
/// rows whose nearest centroid is in none of the groups looked at, another near one is found.
struct CentroidGroups: @unchecked Sendable {
    // Sendable although it holds unsafe memory: nobody writes while rows are assigned.

    /// Rows whose products are computed at once, whatever the number of threads: what a product's last
    /// bits are may depend on its shape.
    private static let tileRows = 4096
    /// Groups that are looked at for each row.
    private static let groupsPerRow = 6

    let centroids: FloatMatrix
    /// The centroids of group i are those from `starts[i]` up to `starts[i + 1]`.
    let starts: [Int]
    private let heads: FloatMatrix?
    private let terms: [Float]
    private let headTerms: [Float]

    /// All in one group.
    init(_ centroids: FloatMatrix) {
        self.centroids = centroids
        starts = [0, centroids.rows]
        heads = nil
        terms = centroids.squaredNorms()
        headTerms = []
    }

    /// In groups whose own centroids are `heads`.
    init(_ centroids: FloatMatrix, starts: [Int], heads: FloatMatrix) {
        self.centroids = centroids
        self.starts = starts
        self.heads = heads
        terms = centroids.squaredNorms()
        headTerms = heads.squaredNorms()
    }

    /// For each of `count` rows, one behind the other, the number of a near centroid. The same with any
    /// number of threads on one machine; OpenBLAS may round differently on another.
    func assign(_ rows: UnsafePointer<Float>, count: Int, threads: Int) -> [UInt32] {
        let columns = centroids.columns
        return [UInt32](unsafeUninitializedCapacity: count) { numbers, initialized in
            let output = Output(numbers.baseAddress, rows)
            ParallelWork.run(0..<count, chunk: Self.tileRows, threads: threads) { _, tile in
                let scratch = Scratch(self, rows: tile.count)
                scratch.assign(
                    output.rows + tile.lowerBound * columns, tile.count,
                    output.numbers! + tile.lowerBound)
            }
            initialized = count
        }
    }

    private struct Output: @unchecked Sendable {
        // Each thread writes the numbers of its own rows.
        let numbers: UnsafeMutablePointer<UInt32>?
        let rows: UnsafePointer<Float>

        init(_ numbers: UnsafeMutablePointer<UInt32>?, _ rows: UnsafePointer<Float>) {
            self.numbers = numbers
            self.rows = rows
        }
    }

    /// The memory of one tile.
    private final class Scratch {
        private let groups: CentroidGroups
        private let columns: Int
        private let products: AlignedFloats
        private let gathered: AlignedFloats
        private var values: [Float]

        init(_ groups: CentroidGroups, rows: Int) {
            self.groups = groups
            columns = groups.centroids.columns
            let starts = groups.starts
            let largest = zip(starts, starts.dropFirst()).map { $1 - $0 }.max() ?? 0
            products = AlignedFloats(
                count: rows * max(largest, groups.heads?.rows ?? 0))
            gathered = AlignedFloats(count: groups.heads == nil ? 0 : rows * columns)
            values = Array(repeating: .infinity, count: rows)
        }

        func assign(
            _ rows: UnsafePointer<Float>, _ count: Int, _ numbers: UnsafeMutablePointer<UInt32>
        ) {
            numbers.initialize(repeating: 0, count: count)
            guard let heads = groups.heads else {
                nearest(in: 0, rows, count, &values, numbers)
                return
            }
            let members = membersOfGroups(rows, count, heads)
            var found: [Float] = []
            var foundNumbers: [UInt32] = []
            for (group, members) in members.enumerated() where !members.isEmpty {
                for (place, row) in members.enumerated() {
                    (gathered.base + place * columns).update(
                        from: rows + Int(row) * columns, count: columns)
                }
                found = Array(repeating: .infinity, count: members.count)
                foundNumbers = Array(repeating: 0, count: members.count)
                foundNumbers.withUnsafeMutableBufferPointer { foundNumbers in
                    nearest(
                        in: group, gathered.base, members.count, &found, foundNumbers.baseAddress!)
                }
                for (place, row) in members.enumerated() where found[place] < values[Int(row)] {
                    values[Int(row)] = found[place]
                    numbers[Int(row)] = foundNumbers[place]
                }
            }
        }

        private func nearest(
            in group: Int, _ rows: UnsafePointer<Float>, _ count: Int, _ values: inout [Float],
            _ numbers: UnsafeMutablePointer<UInt32>
        ) {
            let range = groups.starts[group]..<groups.starts[group + 1]
            guard !range.isEmpty else { return }
            MatrixProduct.ofRows(
                (rows, count), (UnsafePointer(groups.centroids.row(range.lowerBound)), range.count),
                stride: columns, into: products.base)
            groups.terms.withUnsafeBufferPointer { terms in
                cordwood_nearest_columns(
                    products.base, count, range.count, terms.baseAddress! + range.lowerBound,
                    UInt32(range.lowerBound), &values, numbers)
            }
        }

        /// The rows that are near to each group.
        private func membersOfGroups(
            _ rows: UnsafePointer<Float>, _ count: Int, _ heads: FloatMatrix
        ) -> [[UInt32]] {
            MatrixProduct.ofRows(
                (rows, count), (UnsafePointer(heads.base), heads.rows), stride: columns,
                into: products.base)
            var members = [[UInt32]](repeating: [], count: heads.rows)
            let wanted = min(CentroidGroups.groupsPerRow, heads.rows)
            var nearest = [(value: Float, group: Int)]()
            for row in 0..<count {
                let products = products.base + row * heads.rows
                nearest.removeAll(keepingCapacity: true)
                for group in 0..<heads.rows {
                    let value = groups.headTerms[group] - 2 * products[group]
                    if nearest.count == wanted, !(value < nearest[wanted - 1].value) { continue }
                    if nearest.count == wanted { nearest.removeLast() }
                    var place = nearest.count
                    nearest.append((value, group))
                    while place > 0, value < nearest[place - 1].value {
                        nearest.swapAt(place, place - 1)
                        place -= 1
                    }
                }
                for (_, group) in nearest { members[group].append(UInt32(row)) }
            }
            return members
        }
    }
}
