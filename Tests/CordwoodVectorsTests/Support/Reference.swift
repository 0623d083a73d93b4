import CordwoodVectors

/// Exact search in double precision over a dictionary: what an index is compared with.
struct Reference {
    let metric: Metric
    var vectors: [UInt64: [Float]] = [:]

    func distance(_ a: [Float], _ b: [Float]) -> Double {
        func product(_ a: [Float], _ b: [Float]) -> Double {
            zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        switch metric {
        case .l2:
            return zip(a, b).reduce(0) {
                let difference = Double($1.0) - Double($1.1)
                return $0 + difference * difference
            }
        case .innerProduct: return -product(a, b)
        case .cosine:
            let norms = (product(a, a) * product(b, b)).squareRoot()
            return norms == 0 ? 1 : 1 - product(a, b) / norms
        }
    }

    /// Every vector by distance and then by id.
    func ranking(_ query: [Float]) -> [(id: UInt64, distance: Double)] {
        vectors.map { (id: $0.key, distance: distance(query, $0.value)) }
            .sorted { ($0.distance, $0.id) < ($1.distance, $1.id) }
    }

    /// How far a distance in single precision may be off.
    func tolerance(_ query: [Float]) -> Double {
        let largest = vectors.values.flatMap { $0 }.map(abs).max() ?? 0
        let scale = Double(max(largest, query.map(abs).max() ?? 0, 1))
        return metric == .cosine ? 1e-5 : 1e-6 * Double(query.count) * scale * scale + 1e-6
    }
}
