import Testing

@testable import CordwoodBench

@Suite struct FioBaselineTests {
    @Test func figuresAreRead() throws {
        let output = """
            fio: a warning
            {"jobs": [{"write": {"bw_bytes": 1024000},
              "sync": {"lat_ns": {"percentile": {"99.000000": 250000}}}}]}
            """
        let result = try FioBaseline.result(inJSON: output)
        #expect(result.megabytesPerSecond == 1.024)
        #expect(result.syncMicroseconds == 250)
    }

    @Test func aRunWithoutSyncsHasNoLatencyOfThem() throws {
        let output = #"{"jobs": [{"write": {"bw_bytes": 1000000}, "sync": {"total_ios": 0}}]}"#
        #expect(try FioBaseline.result(inJSON: output).syncMicroseconds == nil)
    }

    @Test(arguments: ["", "fio: failed", "{}", #"{"jobs": [{"write": {"bw_bytes": 0}}]}"#])
    func anythingElseIsAnError(output: String) {
        #expect(throws: BenchError.self) { try FioBaseline.result(inJSON: output) }
    }
}
