internal import CCordwoodKernels

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The machine code that distances run on.
public enum VectorKernels {
    /// The instruction set in use: `scalar`, `avx2`, `avx512`, `neon` or
    /// `neon-dotprod`, which is NEON with dot products of bytes. The best that the processor has,
    /// unless the environment's `CORDWOOD_ISA` names another that it has. Chosen once.
    public static var isa: String { String(cString: cordwood_isa()) }

    /// Throws when `CORDWOOD_ISA` is set to what cannot be obeyed; ``isa`` says what is in use
    /// instead. Programs call this once, when they start.
    public static func checkRequestedISA() throws(VectorError) {
        let status = cordwood_isa_get_status()
        guard status != CORDWOOD_ISA_OK else { return }
        let requested = getenv("CORDWOOD_ISA").map { String(cString: $0) } ?? ""
        let expected =
            status == CORDWOOD_ISA_UNKNOWN
            ? "expected scalar, avx2, avx512, neon or neon-dotprod" : "this processor lacks it"
        throw VectorError(
            .unavailableISA,
            "CORDWOOD_ISA is \(String(reflecting: requested)): \(expected); using \(isa)")
    }

    /// The sum of the squares of so many components, in double precision.
    static func squaredNorm(_ vector: UnsafePointer<Float>, _ count: Int) -> Double {
        cordwood_f32_squared_norm(vector, count)
    }
}
