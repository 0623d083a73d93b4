internal import CCordwoodKernels

/// A rotation by a seed, after which the components of any vector look like those of a random
/// direction, so that codes that treat all components alike lose the least. Immutable.
///
/// Hadamard transforms with random signs between them (Ailon and Chazelle, SIAM J. Comput. 2009) instead
/// of a random matrix: O(dimensions × log(dimensions)) and no matrix in files or caches, and the same
/// bits on every instruction set.
final class RandomRotation: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes once it is made.

    let seed: UInt64
    let dimensions: Int
    /// Of vectors that were rotated: the next multiple of 64.
    let rotatedDimensions: Int
    private let factors: UnsafeMutablePointer<Float>

    init(dimensions: Int, seed: UInt64) {
        self.dimensions = dimensions
        self.seed = seed
        rotatedDimensions = cordwood_rotation_dimensions(dimensions)
        let count = Int(CORDWOOD_ROTATION_ROUNDS) * rotatedDimensions
        factors = .allocate(capacity: count)
        factors.initialize(repeating: 0, count: count)
        cordwood_rotation_make(seed, dimensions, factors)
    }

    deinit { factors.deallocate() }

    var bytesAllocated: Int {
        Int(CORDWOOD_ROTATION_ROUNDS) * rotatedDimensions * MemoryLayout<Float>.stride
    }

    /// The rotation as C has it, of what vectors differ by from `origin`, or of vectors where that is nil.
    /// To be used while both live.
    func kernel(origin: UnsafePointer<Float>? = nil) -> cordwood_rotation {
        cordwood_rotation(dimensions: dimensions, origin: origin, factors: factors)
    }

    /// Writes ``rotatedDimensions`` components. Norms and inner products stay what they were, to
    /// within rounding.
    func rotate(_ vector: UnsafePointer<Float>, into rotated: UnsafeMutablePointer<Float>) {
        var kernel = kernel()
        cordwood_rotate(&kernel, vector, rotated)
    }
}
