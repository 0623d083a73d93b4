import CordwoodVectors

/// Distances in double precision, by the definition and by no kernel: what recall and ground truth
/// are judged by.
enum ExactDistance {
    static func between(_ a: Span<Float>, _ b: Span<Float>, _ metric: Metric) -> Double {
        var squares = 0.0
        var product = 0.0
        var aNorm = 0.0
        var bNorm = 0.0
        for index in a.indices {
            let x = Double(a[index])
            let y = Double(b[index])
            squares += (x - y) * (x - y)
            product += x * y
            aNorm += x * x
            bNorm += y * y
        }
        switch metric {
        case .l2: return squares
        case .innerProduct: return -product
        case .cosine:
            let norms = (aNorm * bNorm).squareRoot()
            return norms > 0 ? 1 - product / norms : 1
        }
    }
}
