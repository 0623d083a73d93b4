import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct RecallTests {
    /// Recall does not fall as the effort grows, and reaches what the kind can reach, on each sort of
    /// data; a search that is always exact finds all at once.
    @Test(arguments: KindOfIndex.all, RecallData.Shape.allCases)
    func growsWithTheEffortUpToItsFloor(
        kind: KindOfIndex, shape: RecallData.Shape
    ) async throws {
        let data = try RecallData.of(shape)
        let index = try await data.index(kind)
        var last = 0.0
        for effort in [1, 4, 16, 64, 300] {
            let found = try index.found(batch: data.queries, RecallData.limit, .effort(effort))
            let recall = data.recall(found)
            #expect(recall >= last - 0.02, "effort \(effort): \(last), then \(recall)")
            last = recall
        }
        #expect(last >= kind.floor, "\(last)")
    }

    /// Almost every vector finds itself.
    @Test(arguments: KindOfIndex.all, [RecallData.Shape.directions, .bytes])
    func vectorsFindThemselves(kind: KindOfIndex, shape: RecallData.Shape) async throws {
        let data = try RecallData.of(shape)
        let index = try await data.index(kind)
        let found = try index.found(batch: data.vectors, 1, .effort(kind.isLists ? 6 : 40))
        let hits = found.enumerated().count { $0.element.first?.id == UInt64($0.offset) }
        let share = Double(hits) / Double(RecallData.count)
        #expect(share >= kind.selfFloor, "\(share)")
    }
}

extension KindOfIndex {
    var isLists: Bool {
        if case .lists = structure { true } else { false }
    }

    /// What recall an index reaches with all the effort that there is. Codes that nothing is compared after
    /// tell as many vectors apart as their bits do; what is kept as halves rounds.
    fileprivate var floor: Double {
        switch (kept, quantization) {
        case (.f32, _): 0.99
        case (.f16, _): 0.98
        case (.none, .sq8): 0.95
        case (.none, .rabitq): 0.9
        case (.none, .sq4), (.none, .pq8): 0.65
        case (.none, _): 0.5
        }
    }

    /// What share of vectors find themselves with little effort.
    fileprivate var selfFloor: Double {
        switch (kept, quantization) {
        case (.none, .pq4): 0.8
        case (.none, .pq8): 0.9
        case (.none, .sq4), (_, .pq4): 0.95
        case (_, .pq8) where isLists: 0.98
        default: 0.995
        }
    }
}
