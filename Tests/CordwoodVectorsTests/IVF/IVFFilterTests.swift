import TestSupport
import Testing

@testable import CordwoodVectors

@Suite struct IVFFilterTests {
    /// The cheaper of reading lists and comparing all that are allowed is chosen.
    @Test func choosesWhatIsLess() {
        func plan(_ probes: Int?, allowed: Int, hasExactRows: Bool = true) -> IVFPlan {
            IVFPlan(
                probes: probes, limit: 10, lists: 1000, count: 100_000, allowed: allowed,
                codeBytes: 32, vectorBytes: 512, hasExactRows: hasExactRows, .pq4)
        }
        #expect(plan(nil, allowed: 100_000) == .exact)
        #expect(plan(20, allowed: 50) == .exact)
        guard case .lists(20, _) = plan(20, allowed: 100_000),
            case .lists(20, _) = plan(20, allowed: 50_000),
            case .lists = plan(nil, allowed: 10, hasExactRows: false),
            case .lists(20, _) = plan(20, allowed: 50, hasExactRows: false)
        else {
            Issue.record("expected lists to be read")
            return
        }
    }
}
