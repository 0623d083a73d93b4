internal import COpenBLAS

/// Products of matrices, by OpenBLAS on the calling thread.
enum MatrixProduct {
    /// Takes OpenBLAS's own threads from it, once for the process.
    private static let callersThreadsOnly: Void = cordwood_openblas_use_callers_threads()

    /// To be called before a program starts to work on several threads; an index calls it when it
    /// is made. Later calls do nothing.
    static func prepare() { callersThreadsOnly }

    /// How many threads one product runs on.
    static var threadsPerProduct: Int { Int(openblas_get_num_threads()) }

    /// Writes the inner product of every row of `a` with every row of `b`:
    /// `products[i * b.count + j]` is that of row i of `a` and row j of `b`.
    ///
    /// Bound by the throughput of fused multiply-adds; reads each operand a few times.
    static func ofRows(
        _ a: (base: UnsafePointer<Float>, count: Int),
        _ b: (base: UnsafePointer<Float>, count: Int),
        stride: Int, into products: UnsafeMutablePointer<Float>
    ) {
        prepare()
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(a.count), Int32(b.count), Int32(stride),
            1, a.base, Int32(stride), b.base, Int32(stride), 0, products, Int32(b.count))
    }
}
