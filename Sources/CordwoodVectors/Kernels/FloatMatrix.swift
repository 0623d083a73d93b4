/// Rows of floats, one behind the other, zeros until they are written.
///
/// Not locked: whoever owns it says who writes.
final class FloatMatrix: @unchecked Sendable {
    // Sendable although it holds unsafe memory: threads write to different rows, or none does.

    let base: UnsafeMutablePointer<Float>
    private(set) var rows: Int
    let columns: Int
    private let memory: MappedMemory

    /// Throws ``VectorError/Code/outOfMemory``.
    init(rows: Int, columns: Int) throws(VectorError) {
        let (floats, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, floats < Int.max / 8 else {
            throw VectorError(.outOfMemory, "\(rows) rows of \(columns) floats")
        }
        memory = try MappedMemory(byteCount: floats * MemoryLayout<Float>.stride)
        memory.preferHugePages()
        base = memory.bound(to: Float.self, capacity: floats)
        self.rows = rows
        self.columns = columns
    }

    func row(_ number: Int) -> UnsafeMutablePointer<Float> { base + number * columns }

    /// Gives up all rows but the first so many.
    func keep(rows count: Int) {
        precondition(count <= rows)
        rows = count
    }

    /// The squared length of each row.
    func squaredNorms() -> [Float] {
        (0..<rows).map { Float(VectorKernels.squaredNorm(row($0), columns)) }
    }
}
