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
    let places: DiskPlaces
    /// By vector, as they came.
    private let ids: [UInt64]
    private let graph: DiskGraph

    init(
        _ prepared: DiskPrepared, description: DiskDescription, rows: DiskRows, ids: [UInt64],
        graph: DiskGraph, codes: MemorySlice
    ) {
        layout = prepared.layout
        places = prepared.places
        products = prepared.products
        self.rows = rows
        self.ids = ids
        self.graph = graph
        self.codes = codes
        let navigated = prepared.navigation.graph.shape.counts
        navigation = DiskNavigation(
            graph: prepared.navigation.graph, rows: prepared.navigation.rows,
            nodes: .copy(of: places.targets.prefix(navigated[0]).map(\.littleEndian)))
        self.description = description.of(
            vectors: ids.count, layout, parts: products.parts, navigation: navigated)
    }

    /// The ids by place.
    var orderedIDs: MemorySlice {
        let block = MemoryBlock(count: 8 * ids.count)
        for (place, vector) in places.vectors.enumerated() {
            block.unsafeMutableBytes.storeBytes(
                of: ids[Int(vector)].littleEndian, toByteOffset: 8 * place, as: UInt64.self)
        }
        return MemorySlice(block)
    }

    /// The section `strt`, where it is needed.
    var encodedStarts: MemorySlice? {
        places.hasEqualVectors ? .copy(of: places.starts.map(\.littleEndian)) : nil
    }

    /// Throws unless all that was read of files so far was what had been written to them.
    func check() throws(VectorError) {
        try rows.check()
        for section in graph.sections { try section.check() }
    }

    /// The pages of some blocks.
    func pages(ofBlocks blocks: Range<Int>) throws(VectorError) -> MemorySlice {
        let result = try MemoryBlock.mapped(count: blocks.count * layout.blockBytes)
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
        let place = places.starts[node]
        let id = ids[Int(places.vectors[Int(place)])]
        record.storeBytes(of: id.littleEndian, as: UInt64.self)
        record.storeBytes(of: place.littleEndian, toByteOffset: 8, as: UInt32.self)
        record.storeBytes(
            of: (places.starts[node + 1] - place).littleEndian, toByteOffset: 12, as: UInt32.self)
        graph.withEdges(of: Int(places.sources[node])) { edges in
            for (edge, source) in edges.enumerated() {
                let target = source == noNode ? noNode : places.targets[Int(source)]
                record.storeBytes(
                    of: target.littleEndian, toByteOffset: 16 + 4 * edge, as: UInt32.self)
            }
        }
        let vector = rows.given(places.vector(of: node))
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

/// The graph that goes into the pages.
struct DiskGraph: Sendable {
    let graph: Graph
    /// The lists that some nodes have instead of those in the graph.
    var changed: [UInt32: [UInt32]] = [:]
    /// What of it, and of the codes, is in a file.
    var sections: [MappedSection] = []

    /// Lends a list, as long as the degree.
    func withEdges(of node: Int, _ body: (UnsafeBufferPointer<UInt32>) -> Void) {
        if let list = changed[UInt32(node)] {
            list.withUnsafeBufferPointer(body)
        } else {
            let level = graph.level(0)
            let degree = Int(level.degree)
            body(UnsafeBufferPointer(start: level.edges + node * degree, count: degree))
        }
    }
}
