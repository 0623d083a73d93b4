import Testing

@testable import CordwoodCLI

@Suite struct FiguresTests {
    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"),
        (Int.min, "-9,223,372,036,854,775,808"),
    ])
    func groupsThousands(value: Int, expected: String) {
        #expect(Figures.count(value) == expected)
    }

    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3.0 TiB"),
    ])
    func namesBytes(value: Int, expected: String) {
        #expect(Figures.bytes(value) == expected)
    }

    @Test(arguments: [
        (Duration.microseconds(85), "85 µs"), (.microseconds(1240), "1.24 ms"),
        (.milliseconds(250), "250 ms"), (.milliseconds(3500), "3.5 s"),
        (.seconds(125), "2 min 05 s"),
    ])
    func namesDurations(value: Duration, expected: String) {
        #expect(Figures.duration(value) == expected)
    }

    @Test(arguments: [
        (1.005, 1, "1.0"), (-0.04, 1, "0.0"), (-2.5, 2, "-2.50"), (0.999, 2, "1.00"),
        (12, 0, "12"), (.nan, 2, "nan"), (1e300, 2, "1e+300"),
    ])
    func fixesDigits(value: Double, digits: Int, expected: String) {
        #expect(Figures.fixed(value, digits) == expected)
    }

    @Test func ratesNeverDivideByNothing() {
        #expect(Figures.rate(500, in: .milliseconds(250)) == "2,000/s")
        #expect(Figures.rate(1, in: .zero) == "1,000,000,000/s")
    }

    @Test func alignsTables() {
        let table = Table(headings: ["a", "size"], rows: [["1", "10"], ["200", "3"]])
        #expect(table.description == "  a  size\n  1    10\n200     3")
    }

    @Test func drawsBars() {
        let half = ProgressBar.text("importing", done: 50, total: 100, elapsed: .seconds(2))
        #expect(half == "importing [############............] 50%  25/s  2.0 s left")
        let all = ProgressBar.text("importing", done: 100, total: 100, elapsed: .seconds(4))
        #expect(all == "importing [########################] 100%  25/s")
        #expect(ProgressBar.text("x", done: 0, total: 0, elapsed: .zero).contains("100%"))
    }

    @Test func takesPercentilesByNearestRank() {
        let latencies = (1...200).shuffled().map { Duration.milliseconds($0) }
        let measurement = Measurement(elapsed: .seconds(1), latencies: latencies)
        #expect(measurement.percentile(0.5) == .milliseconds(100))
        #expect(measurement.percentile(0.99) == .milliseconds(198))
        #expect(measurement.percentile(1) == .milliseconds(200))
        #expect(Measurement(elapsed: .zero, latencies: []).percentile(0.5) == .zero)
    }
}
