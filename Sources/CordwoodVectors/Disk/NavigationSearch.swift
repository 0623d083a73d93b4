internal import CCordwoodKernels

/// Finds where in the pages a search begins.
final class NavigationSearch {
    private let navigation: DiskNavigation
    private let scratch: WalkScratch
    private let components: AlignedFloats
    private var found = [UInt32](repeating: 0, count: DiskNavigation.entries)

    init(_ navigation: DiskNavigation) {
        self.navigation = navigation
        let level = navigation.graph.level(0)
        scratch = WalkScratch(
            nodes: Int(level.count), degree: Int(level.degree), ef: DiskNavigation.entries)
        components = AlignedFloats(
            count: cordwood_code_query_bytes(navigation.rows.kernel.quantizer)
                / MemoryLayout<Float>.stride)
    }

    /// Calls `body` with some near nodes.
    func withNearest(
        to query: UnsafePointer<Float>, _ body: (UnsafePointer<UInt32>, UInt32) -> Void
    ) {
        var rows = navigation.rows.kernel
        var graph = navigation.graph.kernel
        var codes = cordwood_code_query()
        components.base.withMemoryRebound(
            to: Int8.self, capacity: cordwood_code_query_bytes(rows.quantizer)
        ) { cordwood_code_query_prepare(rows.quantizer, query, $0, &codes) }
        let count = withUnsafePointer(to: &codes) { codes in
            var query = cordwood_graph_query(floats: nil, codes: codes)
            return cordwood_graph_search(
                &graph, &rows, &query, 0, UInt32(DiskNavigation.entries),
                UInt32(DiskNavigation.beam), &scratch.kernel)
        }
        let names = navigation.nodes.pointer(to: UInt32.self)!
        for place in 0..<Int(count) {
            found[place] = UInt32(littleEndian: names[Int(scratch.kernel.pool[place].node)])
        }
        body(found, count)
    }
}
