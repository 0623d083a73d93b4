import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct EqualVectorTests {
    /// All vectors are equal, or all are zeros: all are found, the smaller id first where what is kept of
    /// them is compared.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func allAreTheSame(kind: KindOfIndex, metric: Metric) async throws {
        for component in [0, 1, -3.5] as [Float] {
            let vector = [Float](repeating: component, count: 5)
            let index = try await kind.index(
                of: Array(repeating: vector, count: 300), dimensions: 5, metric)
            let expected: Float =
                switch metric {
                case .l2: 0
                case .innerProduct: -5 * component * component
                case .cosine: component == 0 ? 1 : 0
                }
            for accuracy in [SearchAccuracy.effort(7), .exact] {
                let found = try index.found(vector, 7, accuracy)
                #expect(found.count == 7 && isSorted(found))
                if kind.kept != .none {
                    #expect(found.allSatisfy { abs($0.distance - expected) < 1e-3 }, "\(found)")
                }
                if accuracy == .exact { #expect(found.map(\.id) == Array(0..<7)) }
                #expect(try index.found(vector, 1000, accuracy).map(\.id) == Array(0..<300))
            }
        }
    }

    /// Thirty vectors, thirty times each: no copy hides another, and all of the nearest come first.
    @Test(arguments: KindOfIndex.all, Metric.allCases)
    func manyAreTheSame(kind: KindOfIndex, metric: Metric) async throws {
        let few = ClusteredVectors(count: 30, queries: 1, dimensions: 12, seed: 9)
        let vectors = (0..<900).map { few.vectors[$0 % 30] }
        let index = try await kind.index(of: vectors, dimensions: 12, metric)
        #expect(try index.found(few.vectors[3], 2000, .effort(1)).count == 900)
        guard kind.kept != .none, metric != .innerProduct else { return }
        let copies = (0..<30).map { UInt64(30 * $0 + 3) }
        #expect(try index.found(few.vectors[3], 30, .exact).map(\.id) == copies)
        let found = try index.found(few.vectors[3], 30, .effort(30))
        #expect(found.filter { $0.id % 30 == 3 }.count >= 29, "\(found)")
    }
}
