internal import CCordwoodKernels
internal import CordwoodStorage

/// What was built, before it is written: everything by the numbers of nodes in the pages.
final class DiskBuild: Sendable {
    let description: DiskDescription
    let layout: DiskLayout
    let rows: DiskRows
    let products: ProductCodes
    let codes: MemorySlice
    let navigation: DiskNavigation
    /// The row of each node.
    let rowOfNode: [UInt32]
    /// Node i has the places from `starts[i]` up to `starts[i + 1]`.
    let starts: [UInt32]
    /// By place.
    let ids: [UInt64]
    private let graph: Graph
    /// The node of the graph that became each node of the pages, and the reverse.
    private let sources: [UInt32]
    private let targets: [UInt32]

    init(
        description: DiskDescription, layout: DiskLayout, rows: DiskRows, ids: [UInt64],
        order: NodeOrder, places: [UInt32], graph: Graph,
        navigation: (graph: Graph, rows: NodeRows), products: (ProductCodes, MemorySlice)
    ) {
        self.layout = layout
        self.rows = rows
        self.graph = graph
        (self.products, codes) = products
        sources = places
        var targets = [UInt32](repeating: 0, count: places.count)
        for (target, source) in places.enumerated() { targets[Int(source)] = UInt32(target) }
        self.targets = targets
        rowOfNode = places.map { order.vectors[Int(order.starts[Int($0)])] }
        var starts: [UInt32] = [0]
        var ordered: [UInt64] = []
        starts.reserveCapacity(places.count + 1)
        ordered.reserveCapacity(ids.count)
        for source in places {
            let vectors = Int(order.starts[Int(source)])..<Int(order.starts[Int(source) + 1])
            for place in vectors { ordered.append(ids[Int(order.vectors[place])]) }
            starts.append(UInt32(ordered.count))
        }
        self.starts = starts
        self.ids = ordered
        let navigated = Int(navigation.graph.level(0).count)
        self.navigation = DiskNavigation(
            graph: navigation.graph, rows: navigation.rows,
            nodes: .copy(of: targets.prefix(navigated).map(\.littleEndian)))
        self.description = description.of(
            vectors: ids.count, layout, parts: products.0.parts,
            navigation: navigation.graph.shape.counts)
    }

    var hasEqualVectors: Bool { ids.count > layout.nodeCount }

    /// The pages of some blocks.
    func pages(ofBlocks blocks: Range<Int>) -> MemorySlice {
        let result = MemoryBlock(count: blocks.count * layout.blockBytes)
        let records = MemoryBlock(count: layout.nodesPerBlock * layout.nodeBytes)
        for (index, block) in blocks.enumerated() {
            let first = block * layout.nodesPerBlock
            let last = min(first + layout.nodesPerBlock, layout.nodeCount)
            records.unsafeMutableBytes.initializeMemory(as: UInt8.self, repeating: 0)
            for node in first..<last {
                let start = (node - first) * layout.nodeBytes
                write(
                    node,
                    to: UnsafeMutableRawBufferPointer(
                        rebasing: records.unsafeMutableBytes[start..<start + layout.nodeBytes]))
            }
            let bytes = result.unsafeMutableBytes[
                index * layout.blockBytes..<(index + 1) * layout.blockBytes]
            DiskLayout.write(
                records.unsafeBytes, block: block,
                to: UnsafeMutableRawBufferPointer(rebasing: bytes))
        }
        return MemorySlice(result)
    }

    private func write(_ node: Int, to record: UnsafeMutableRawBufferPointer) {
        let place = starts[node]
        record.storeBytes(of: ids[Int(place)].littleEndian, as: UInt64.self)
        record.storeBytes(of: place.littleEndian, toByteOffset: 8, as: UInt32.self)
        record.storeBytes(
            of: (starts[node + 1] - place).littleEndian, toByteOffset: 12, as: UInt32.self)
        let edges = graph.level(0).edges + Int(sources[node]) * layout.degree
        for edge in 0..<layout.degree {
            let target = edges[edge] == noNode ? noNode : targets[Int(edges[edge])]
            record.storeBytes(
                of: target.littleEndian, toByteOffset: 16 + 4 * edge, as: UInt32.self)
        }
        let vector = rows.given(Int(rowOfNode[node]))
        let start = 16 + 4 * layout.degree
        for component in 0..<layout.dimensions {
            switch layout.element {
            case .float32:
                record.storeBytes(
                    of: vector[component].bitPattern.littleEndian,
                    toByteOffset: start + 4 * component, as: UInt32.self)
            case .float16:
                record.storeBytes(
                    of: Float16(vector[component]).bitPattern.littleEndian,
                    toByteOffset: start + 2 * component, as: UInt16.self)
            case .uint8:
                record[start + component] = UInt8(vector[component])
            }
        }
    }
}
