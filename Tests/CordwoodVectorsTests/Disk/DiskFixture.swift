import CordwoodSimulation
import CordwoodStorage
import TestSupport
import Testing

@testable import CordwoodVectors

/// Where an index is built.
enum DiskPlace: CaseIterable {
    /// A real disk, by a ring.
    case ring
    /// A real disk, by plain system calls.
    case threads
    /// A simulated disk, whose readers read from a map.
    case simulated
}

let diskPath = try! StoragePath.root.appending("first.disk")

extension DiskPlace {
    /// Builds an index of vectors whose ids are their numbers, and lends it.
    func withIndex<Value>(
        of vectors: [[Float]], dimensions: Int, _ metric: Metric,
        _ configuration: DiskConfiguration = .small, threads: Int = 1,
        _ body: (DiskIndex) async throws -> Value
    ) async throws -> Value {
        switch self {
        case .simulated:
            return try await body(
                try await DiskIndex.of(
                    vectors, dimensions: dimensions, metric, configuration, threads: threads,
                    on: SimulatedStorage(seed: 1)))
        case .ring, .threads:
            let root = TemporaryDirectory()
            let storage = try await LinuxStorage.open(
                root: root.path, .init(ioPath: self == .ring ? .uring : .threads))
            return try await body(
                try await DiskIndex.of(
                    vectors, dimensions: dimensions, metric, configuration, threads: threads,
                    on: storage))
        }
    }
}

extension DiskConfiguration {
    /// Quickly built.
    static let small = DiskConfiguration(
        degree: 16, efConstruction: 60, memoryCapBytes: 1 << 28, seed: 3)
}

extension DiskIndex {
    static func of(
        _ vectors: [[Float]], dimensions: Int, _ metric: Metric,
        _ configuration: DiskConfiguration = .small, threads: Int = 1,
        at path: StoragePath = diskPath, on storage: some Storage
    ) async throws -> DiskIndex {
        var builder = try await DiskBuilder(
            dimensions: dimensions, metric: metric, configuration: configuration, at: path,
            on: storage)
        for (number, vector) in vectors.enumerated() {
            try await builder.append(id: UInt64(number), vector: vector.span)
        }
        return try await builder.build(threads: threads)
    }

    func search(
        _ query: [Float], limit: Int, accuracy: SearchAccuracy = .effort(100),
        allowing allowed: VectorBitmap? = nil
    ) throws(VectorError) -> [Neighbor] {
        try search(query.span, limit: limit, accuracy: accuracy, allowing: allowed)
    }

    /// By a plan, whatever is cheaper.
    func search(
        _ query: [Float], limit: Int, plan: DiskPlan, allowing allowed: VectorBitmap? = nil
    ) throws -> [Neighbor] {
        let expected = min(limit, allowed?.setCount ?? count)
        guard expected > 0 else { return [] }
        let queries = SharedFloats(count: query.count)
        queries.base.update(from: query, count: query.count)
        var statistics = DiskSearchStatistics()
        return try search(
            DiskSearch(
                queries: queries, count: 1, expected: expected, plan: plan, allowed: allowed),
            &statistics)[0]
    }
}

func bytes(of path: StoragePath, on storage: some Storage) async throws -> [UInt8] {
    let file = try await storage.open(path, .read)
    let block = try await file.read(at: 0, count: try await file.size())
    await file.close()
    return Array(block.unsafeBytes)
}

func replace(
    _ path: StoragePath, with bytes: [UInt8], on storage: some Storage
) async throws {
    let file = try await storage.open(path, .openOrCreate)
    try await file.truncate(to: 0)
    if !bytes.isEmpty {
        try await file.write(
            [FileWrite(at: 0, [MemorySlice(MemoryBlock(copying: bytes))])], thenSync: true)
    }
    await file.close()
}
