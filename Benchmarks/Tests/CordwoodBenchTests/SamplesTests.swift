import Testing

@testable import CordwoodBench

@Suite struct SamplesTests {
    @Test func percentilesAreValuesThatWereMeasured() {
        let samples = Samples((1...1000).reversed().map(Double.init))
        #expect(samples.percentile(99) == 990)
        #expect(samples.percentile(99.9) == 999)
        #expect(samples.percentile(100) == 1000)
        #expect(samples.minimum == 1)
        #expect(samples.maximum == 1000)
    }

    @Test func theMedianOfAnEvenCountLiesBetween() {
        #expect(Samples([4, 1, 3, 2]).median == 2.5)
        #expect(Samples([5, 1, 3]).median == 3)
    }

    @Test func noValuesHaveNoMedian() { #expect(Samples([]).median.isNaN) }
}
