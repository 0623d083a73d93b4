internal import CCordwoodKernels
internal import CordwoodStorage

/// The rows of a graph's nodes, one behind the other. Immutable.
final class NodeRows: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes.

    let kernel: cordwood_graph_rows
    let bytes: MemorySlice
    /// Of codes, and nil for floats.
    let quantizer: ScalarQuantizer?

    /// Floats of so many dimensions.
    convenience init(floats bytes: MemorySlice, dimensions: Int) {
        self.init(bytes, stride: dimensions * MemoryLayout<Float>.stride, quantizer: nil)
    }

    convenience init(codes bytes: MemorySlice, of quantizer: ScalarQuantizer) {
        self.init(bytes, stride: quantizer.stride, quantizer: quantizer)
    }

    private init(_ bytes: MemorySlice, stride: Int, quantizer: ScalarQuantizer?) {
        self.bytes = bytes
        self.quantizer = quantizer
        kernel = cordwood_graph_rows(
            kind: quantizer == nil ? CORDWOOD_ROW_F32 : CORDWOOD_ROW_CODES,
            rows: bytes.unsafeBytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
            stride: stride, quantizer: quantizer?.kernel)
    }
}

/// Where the rows of nodes are made from: floats in another order.
struct NodeSource: @unchecked Sendable {
    // Sendable although it holds unsafe memory, which nobody writes meanwhile.

    /// Rows that a thread takes at a time.
    private static let chunk = 2048

    let rows: UnsafePointer<Float>
    let dimensions: Int
    let rowCount: Int
    /// The row of floats that belongs to each node.
    let rowOfNode: [UInt32]
    let threads: Int

    /// The components of a node.
    func floats(of node: Int) -> UnsafePointer<Float> {
        rows + Int(rowOfNode[node]) * dimensions
    }

    /// What a graph keeps of each node for its walks; `eightBits` are there already.
    func rows(
        _ quantization: Quantization, eightBits: NodeRows, _ metric: Metric
    ) throws(VectorError) -> NodeRows {
        switch quantization {
        case .none: try copied()
        case .sq8: eightBits
        case .sq4:
            try encoded(
                by: ScalarQuantizer(
                    bits: 4, metric: metric, dimensions: dimensions, rows: rows,
                    stride: dimensions, count: rowCount))
        case .pq4, .pq8, .rabitq, .auto:
            preconditionFailure("the configuration was not validated: \(quantization)")
        }
    }

    /// The codes of each node.
    func encoded(by quantizer: ScalarQuantizer) throws(VectorError) -> NodeRows {
        let stride = quantizer.stride
        let memory = try memory(stride: stride)
        ParallelWork.run(rowOfNode.indices, chunk: Self.chunk, threads: threads) { _, nodes in
            rowOfNode.withUnsafeBufferPointer { order in
                quantizer.encode(
                    rows, stride: dimensions, order: order.baseAddress! + nodes.lowerBound,
                    count: nodes.count,
                    into: memory.bound(
                        to: UInt8.self, capacity: nodes.count * stride,
                        at: nodes.lowerBound * stride))
            }
        }
        return NodeRows(codes: block(memory, stride), of: quantizer)
    }

    /// The floats of each node, as what walks compare.
    func copied() throws(VectorError) -> NodeRows {
        NodeRows(floats: try exactRows(.f32).bytes, dimensions: dimensions)
    }

    /// The floats of each node, or halves where they can hold them.
    func exactRows(_ reranking: Reranking) throws(VectorError) -> ExactRows {
        try ExactRows(
            reranking, count: rowOfNode.count, components: dimensions, threads: threads
        ) { floats(of: $0) }
    }

    private func block(_ memory: MappedMemory, _ stride: Int) -> MemorySlice {
        MemorySlice(memory.block(count: stride * rowOfNode.count))
    }

    private func memory(stride: Int) throws(VectorError) -> MappedMemory {
        let memory = try MappedMemory(byteCount: stride * rowOfNode.count)
        memory.preferHugePages()
        return memory
    }
}
