internal import CCordwoodKernels
internal import CordwoodStorage

extension IVFIndex {
    /// See ``VectorIndex/search(batch:limit:accuracy:allowing:)``.
    ///
    /// The effort is nprobe: how many lists are read, at most all of them. Under a filter a list counts
    /// by the share of it that is allowed, so that as many vectors are compared as without, until
    /// comparing all that are allowed is less (``IVFPlan``). A search takes O(lists × dimensions) to
    /// find the nearest lists, and reads `effort` × count / lists rows of codes. An effort must be in
    /// ``SearchAccuracy/effortRange``, and a recall above 0 and up to 1.
    public func search(
        batch: Span<Float>, limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [[Neighbor]] {
        try FlatIndex.validate(limit: limit)
        precondition(
            allowed.map { $0.count == count } ?? true,
            "a filter of \(allowed?.count ?? 0) bits for \(count) vectors")
        let queries = try FlatIndex.validate(batch: batch, dimensions: dimensions)
        let plan = try plan(accuracy, limit: limit, allowed: allowed?.setCount ?? count)
        return batch.withUnsafeBufferPointer { batch in
            guard let queriesBase = batch.baseAddress else { return [] }
            return search(
                queriesBase, count: queries, limit: limit, plan: plan, allowing: allowed)
        }
    }

    /// Searches by a plan for queries that are known to be sound.
    func search(
        _ queries: UnsafePointer<Float>, count queryCount: Int, limit: Int, plan: IVFPlan,
        allowing allowed: VectorBitmap?
    ) -> [[Neighbor]] {
        let expected = min(limit, allowed?.setCount ?? count)
        guard let kernel, let parts, queryCount > 0, expected > 0 else {
            return Array(repeating: [], count: queryCount)
        }
        let heaps = NearestHeaps(count: queryCount, capacity: expected)
        let scratch = scratches.take() ?? IVFScratch(parts)
        defer { scratches.giveBack(scratch) }
        (allowed?.words ?? []).withUnsafeBufferPointer { words in
            let bits = allowed == nil ? nil : words.baseAddress
            for query in 0..<queryCount {
                let vector = queries + query * dimensions
                switch plan {
                case .exact:
                    cordwood_ivf_scan(kernel, vector, bits, &scratch.kernel, heaps.heaps + query)
                case .lists(let probes, let refined):
                    let refined = min(refined, count)
                    scratch.makeRoom(refined: refined)
                    var effort = cordwood_ivf_effort(
                        probes: UInt32(probes), refined: UInt32(refined))
                    cordwood_ivf_search(
                        kernel, vector, &effort, bits, &scratch.kernel, heaps.heaps + query)
                }
            }
        }
        return heaps.sorted()
    }

    private func plan(
        _ accuracy: SearchAccuracy, limit: Int, allowed: Int
    ) throws(VectorError) -> IVFPlan {
        try accuracy.validate()
        let probes: Int? =
            switch accuracy {
            case .exact: nil
            case .recall(let recall): calibration.effort(for: recall, limit: limit)
            case .effort(let effort): effort
            }
        return IVFPlan(
            probes: probes, limit: accuracy.measuredLimit(limit), lists: configuration.lists ?? 1,
            count: count,
            allowed: allowed, codeBytes: codeBytes, vectorBytes: 4 * dimensions,
            hasExactRows: configuration.hasExactRows, configuration.quantization)
    }

    /// Bytes of a vector's codes.
    private var codeBytes: Int {
        guard count > 0, let codes = parts?.codes else { return 4 * dimensions }
        return codes.bytes.count / count
    }
}
