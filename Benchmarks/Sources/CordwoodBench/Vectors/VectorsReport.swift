import CordwoodVectors

/// The fields of `cordwood-bench vectors`' lines; `docs/benchmarks.md` says what they mean.
struct VectorsReport {
    let command: VectorsCommand
    let set: VectorSet
    let index: any IndexUnderTest
    let measured: SearchRounds.Measured
    var recall = 0.0
    var buildSeconds = 0.0
    var residentBytes = 0
    var limits: LimitsProbe?
    /// What all queries together read, of a walk over a graph.
    var reads: HNSWSearchStatistics?
    /// Pages a second that fio read from the disk at random after each round.
    var diskReads: [Double] = []

    func line() throws -> JSONLine {
        let rate = measured.queriesPerSecond.median
        var line = JSONLine()
        line["index"] = .string(command.options.index.rawValue)
        line["quantization"] = .string(command.options.quantization.rawValue)
        line["parameters"] = .object(
            [
                ("metric", .string(command.metric.rawValue)), ("k", .integer(command.k)),
                ("count", .integer(set.count)), ("dimensions", .integer(set.dimensions)),
                ("queries", .integer(measured.queryCount)),
                ("build_threads", .integer(command.options.buildThreads)),
            ] + [("chosen", .string(index.quantization))] + command.options.parameters
                + measured.point.parameters)
        line["recall"] = .number(recall)
        line["qps"] = .number(rate)
        line["p50_us"] = .number(measured.calls.percentile(50))
        line["p99_us"] = .number(measured.calls.percentile(99))
        line["build_seconds"] = .number(buildSeconds)
        line["bytes_per_vector"] = .number(index.bytesPerVector)
        line["resident_mb"] = .number(Double(residentBytes) / 1e6)
        if let memory = index.memoryBytes { line["memory"] = .integer(memory) }
        if let reads = index.readsPerQuery(at: measured.point) {
            line["reads_per_query"] = .number(reads)
            if !diskReads.isEmpty {
                let given = Samples(diskReads)
                line["fio_reads_per_s"] = given.json
                // 1 where every read that the disk gives is a search's.
                line["ratio_to_fio"] = .number(rate * reads / given.median)
            }
        }
        line["threads"] = .integer(measured.threads)
        line["isa"] = .string(VectorKernels.isa)
        line["mode"] = .string(measured.mode.rawValue)
        line["qps_rounds"] = measured.queriesPerSecond.json
        line["bandwidth_gb_s"] = bandwidth(rate)
        line["gflop_s"] = .number(2 * Double(set.count * set.dimensions) * rate / 1e9)
        if let limits {
            line["limit_sum_gb_s"] = Samples(limits.sumGigabytesPerSecond).json
            line["limit_sgemm_gflop_s"] = Samples(limits.productGigaflops).json
            line["limit_fma_gflop_s"] = Samples(limits.multiplyAddGigaflops).json
            line["limit_sum_isa"] = .string(LimitsProbe.sumISA)
            line["openblas"] = .string(LimitsProbe.productLibrary)
        }
        if let reads {
            line["reads"] = describe(reads)
            let bound = try GatherProbe.nanoseconds(
                for: [reads.lists, reads.rows, reads.vectors], queries: set.queryCount,
                of: set.count)
            line["limit_gather_ns"] = .number(bound)
        }
        return line
    }

    /// Of one query.
    private func describe(_ reads: HNSWSearchStatistics) -> JSONValue {
        func perQuery(_ number: Int) -> JSONValue {
            .number(Double(number) / Double(set.queryCount))
        }
        return .object([
            ("lists", perQuery(reads.lists.count)), ("rows", perQuery(reads.rows.count)),
            ("vectors", perQuery(reads.vectors.count)),
            ("bytes", perQuery(reads.lists.bytes + reads.rows.bytes + reads.vectors.bytes)),
        ])
    }

    /// Bytes of vectors read a second. A batch reads them once for many queries, so that a figure
    /// for it would not be one of memory.
    private func bandwidth(_ rate: Double) -> JSONValue {
        guard measured.mode == .single else { return .null }
        return .number(4 * Double(set.count * set.dimensions) * rate / 1e9)
    }
}
