import Testing

@testable import CordwoodBench

@Suite struct FioBaselineTests {
    @Test func theBandwidthIsTheFortyEighthField() throws {
        var fields = (1...130).map { "\($0)" }
        fields[0] = "3"
        fields[47] = "1000"
        let output = "fio: a warning\n" + fields.joined(separator: ";") + "\n"
        #expect(try FioBaseline.bandwidth(inTerse: output) == 1.024)
    }

    @Test(arguments: ["", "3;fio;x", "nothing to see"])
    func otherOutputIsAnError(output: String) {
        #expect(throws: BenchError.self) { try FioBaseline.bandwidth(inTerse: output) }
    }
}
