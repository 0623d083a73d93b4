import Testing

@testable import CordwoodVectors

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct VectorKernelsTests {
    @Test func theISAIsTheOneAskedFor() throws {
        let known = ["scalar", "avx2", "avx512", "neon"]
        #expect(known.contains(VectorKernels.isa))
        guard let value = getenv("CORDWOOD_ISA") else {
            try VectorKernels.checkRequestedISA()
            return
        }
        let requested = String(cString: value)
        do throws(VectorError) {
            try VectorKernels.checkRequestedISA()
            #expect(VectorKernels.isa == requested)
        } catch {
            #expect(error.code == .unavailableISA)
            #expect(error.detail.contains(requested) && error.detail.contains(VectorKernels.isa))
        }
    }

    @Test func matrixProductsRunOnTheirCallersThread() {
        MatrixProduct.prepare()
        #expect(MatrixProduct.threadsPerProduct == 1)
    }

    @Test func matrixProductsAreThoseOfTheRows() {
        // Strides of 16: rows are padded.
        let a = (0..<48).map { Float($0 % 5) }
        let b = (0..<32).map { Float($0 % 7) - 3 }
        var products = [Float](repeating: .nan, count: 6)
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                MatrixProduct.ofRows(
                    (a.baseAddress!, 3), (b.baseAddress!, 2), stride: 16, into: &products)
            }
        }
        for i in 0..<3 {
            for j in 0..<2 {
                let expected = (0..<16).reduce(Float(0)) { $0 + a[i * 16 + $1] * b[j * 16 + $1] }
                #expect(products[i * 2 + j] == expected)
            }
        }
    }
}
