internal import CordwoodStorage

/// Makes an index of vectors, step by step.
struct IVFConstruction {
    let rows: UnsafePointer<Float>
    let ids: [UInt64]
    let dimensions: Int
    let metric: Metric
    let configuration: IVFConfiguration
    let threads: Int
    let progress: @Sendable (Int) -> Void
    let isCancelled: @Sendable () -> Bool

    func run() throws(VectorError) -> IVFIndex {
        let count = ids.count
        var resolved = configuration
        resolved.lists = configuration.listCount(for: count)
        guard count > 0 else {
            if resolved.quantization == .auto { resolved.quantization = .none }
            return IVFIndex(
                dimensions: dimensions, metric: metric, configuration: resolved, parts: nil,
                calibration: RecallCalibration(points: []))
        }
        // In random order, so that the first few are a sample, of whom the last are held out of it.
        var random = SplitMix64(seed: configuration.seed)
        let heldOut = IVFRecallProbe.heldOut(of: count)
        let sampled = min(count - heldOut, resolved.lists! * ListTraining.rowsPerList)
        let sample = random.sample(sampled + heldOut, below: count)
        let groups = try ListTraining(rows: copy(sample.prefix(sampled)), threads: threads)
            .run(resolved.lists!)
        try checkCancellation()
        let numbers = groups.assign(rows, count: count, threads: threads)
        progress(count)
        let clusters = Clusters(numbers, count: resolved.lists!)
        let source = IVFSource(
            rows: rows, dimensions: dimensions, metric: metric, order: clusters.order,
            threads: threads)
        let lists = IVFLists(
            centroids: .copy(
                of: Array(
                    UnsafeBufferPointer(
                        start: groups.centroids.base, count: resolved.lists! * dimensions))),
            starts: .copy(of: clusters.starts), dimensions: dimensions, metric: metric)
        let parts = IVFParts(
            dimensions: dimensions, lists: lists, codes: nil,
            exact: resolved.hasExactRows ? try source.copied() : nil,
            ids: .copy(of: source.order.map { ids[Int($0)] }))
        let isHeldOut = Set(sample.suffix(heldOut).map { UInt32($0) })
        let probe = IVFRecallProbe(
            source: source,
            queries: source.order.indices.filter { isHeldOut.contains(source.order[$0]) })
        let index = try choose(resolved, parts, source, probe)
        progress(count)
        return index
    }

    private func checkCancellation() throws(VectorError) {
        if isCancelled() { throw VectorError(.cancelled, "the building of lists") }
    }

    /// Encodes the vectors as the configuration says, or in each way that it may choose from, and measures
    /// what searches find.
    private func choose(
        _ configuration: IVFConfiguration, _ parts: IVFParts, _ source: IVFSource,
        _ probe: IVFRecallProbe
    ) throws(VectorError) -> IVFIndex {
        var best: IVFIndex?
        for quantization in configuration.quantization == .auto
            ? IVFChoice.candidates : [configuration.quantization]
        {
            try checkCancellation()
            var tried = configuration
            tried.quantization = quantization
            var parts = parts
            parts.codes = try IVFCodes.encoding(source, parts.lists, as: tried)
            let ids = parts.ids
            parts.ids = .copy(of: (0..<source.count).map { UInt64($0) })
            let calibration = probe.run(
                IVFIndex(
                    dimensions: dimensions, metric: metric, configuration: tried, parts: parts,
                    calibration: RecallCalibration(points: [])))
            parts.ids = ids
            let index = IVFIndex(
                dimensions: dimensions, metric: metric, configuration: tried, parts: parts,
                calibration: calibration)
            if best.map({ IVFChoice.cost(index) < IVFChoice.cost($0) }) ?? true { best = index }
        }
        return best!
    }

    private func copy(_ numbers: ArraySlice<Int>) throws(VectorError) -> FloatMatrix {
        let matrix = try FloatMatrix(rows: numbers.count, columns: dimensions)
        for (place, number) in numbers.enumerated() {
            matrix.row(place).update(from: rows + number * dimensions, count: dimensions)
        }
        return matrix
    }
}

/// How ``Quantization/auto`` chooses: by what is to be read to find 19 of 20 neighbours, which is known
/// when recall was measured and is the same whatever else the machine does, as times would not be.
enum IVFChoice {
    static let candidates: [Quantization] = [.pq4, .sq8]
    private static let recall = 0.95
    /// Bytes that are read one after another in the time of one that is read here and there.
    private static let sequentialPerScattered = 4

    /// Bytes to be read for a search, each that lies where no one could have foreseen for several. Where
    /// nothing was measured, for there are few vectors, the largest codes are as good as any.
    static func cost(_ index: IVFIndex) -> Int {
        let limit = RecallCalibration.neighbors
        guard let codes = index.parts?.codes, !index.calibration.points.isEmpty else {
            return index.configuration.quantization == .sq8 ? 0 : 1
        }
        let lists = index.configuration.lists ?? 1
        let probes = index.calibration.effort(for: recall, limit: limit) ?? lists
        let refined =
            index.configuration.hasExactRows
            ? IVFPlan.refined(
                probes: probes, limit: limit, index.configuration.quantization) : 0
        return codes.bytes.count / lists * probes
            + refined * 4 * index.dimensions * sequentialPerScattered
    }
}
