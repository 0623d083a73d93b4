/// Zeroed floats on a cache line's boundary, for one search.
struct AlignedFloats: ~Copyable {
    let base: UnsafeMutablePointer<Float>

    init(count: Int) {
        base =
            UnsafeMutableRawPointer
            .allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
            .bindMemory(to: Float.self, capacity: count)
        base.initialize(repeating: 0, count: count)
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }
}
