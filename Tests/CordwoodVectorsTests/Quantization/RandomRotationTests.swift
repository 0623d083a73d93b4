import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct RandomRotationTests {
    private static func rotated(_ rotation: RandomRotation, _ vector: [Float]) -> [Float] {
        var rotated = [Float](repeating: .nan, count: rotation.rotatedDimensions)
        rotation.rotate(vector, into: &rotated)
        return rotated
    }

    private static func product(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    @Test(arguments: [1, 2, 3, 63, 64, 65, 100, 128, 384, 500, 1024, 4096])
    func productsStayWhatTheyWere(dimensions: Int) {
        var random = SeededGenerator(seed: UInt64(dimensions))
        let rotation = RandomRotation(dimensions: dimensions, seed: 3)
        #expect(rotation.rotatedDimensions == (dimensions + 63) / 64 * 64)
        let vectors = (0..<4).map { _ in random.vector(dimensions) }
        let rotated = vectors.map { Self.rotated(rotation, $0) }
        for i in vectors.indices {
            for j in vectors.indices {
                let before = Self.product(vectors[i], vectors[j])
                let after = Self.product(rotated[i], rotated[j])
                #expect(abs(before - after) < 1e-5 * Double(dimensions), "seed \(random.seed)")
            }
        }
    }

    @Test func aSeedIsARotation() {
        var random = SeededGenerator(seed: 1)
        let vector = random.vector(100)
        let first = Self.rotated(RandomRotation(dimensions: 100, seed: 5), vector)
        #expect(first == Self.rotated(RandomRotation(dimensions: 100, seed: 5), vector))
        #expect(first != Self.rotated(RandomRotation(dimensions: 100, seed: 6), vector))
    }

    /// Over many seeds, the components of one vector are those of random directions: they have the
    /// second and fourth moments of a normal distribution of that deviation.
    @Test(arguments: [64, 192, 384, 1000], [false, true])
    func componentsLookNormal(dimensions: Int, isSparse: Bool) {
        var vector = [Float](repeating: isSparse ? 0 : 1, count: dimensions)
        vector[dimensions / 3] = 1
        var (count, second, fourth) = (0.0, 0.0, 0.0)
        let norm = Self.product(vector, vector)
        for seed in seeds(60) {
            let rotation = RandomRotation(dimensions: dimensions, seed: seed)
            for component in Self.rotated(rotation, vector) {
                let squared =
                    Double(component) * Double(component) / norm
                    * Double(rotation.rotatedDimensions)
                count += 1
                second += squared
                fourth += squared * squared
            }
        }
        #expect(abs(second / count - 1) < 1e-3)
        #expect(abs(fourth / count - 3) < 0.5, "\(fourth / count)")
    }
}
