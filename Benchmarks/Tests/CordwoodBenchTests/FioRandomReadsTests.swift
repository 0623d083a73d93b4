import Testing

@testable import CordwoodBench

@Suite struct FioRandomReadsTests {
    @Test func readsAreRead() throws {
        let output = """
            fio: a warning
            {"jobs": [{"read": {"bw_bytes": 1024000, "iops": 25345.5}}]}
            """
        #expect(try FioRandomReads.readsPerSecond(inJSON: output) == 25345.5)
    }

    @Test(arguments: ["", "fio: failed", "{}", #"{"jobs": [{"read": {"iops": 0}}]}"#])
    func anythingElseIsAnError(output: String) {
        #expect(throws: BenchError.self) { try FioRandomReads.readsPerSecond(inJSON: output) }
    }
}
