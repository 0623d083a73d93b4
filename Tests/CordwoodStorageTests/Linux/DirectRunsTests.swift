import Testing

@testable import CordwoodStorage

@Suite struct DirectRunsTests {
    private static func takes(_ runs: inout DirectRuns, _ byteCount: Int?, isAlone: Bool = true)
        -> Bool
    {
        runs.takes(byteCount: byteCount, isAlone: isAlone)
    }

    @Test func loneQuickOperationsGoDirectly() {
        var runs = DirectRuns()
        #expect(Self.takes(&runs, 100))
        #expect(Self.takes(&runs, DirectRuns.maximumBytes))
        #expect(!Self.takes(&runs, 100, isAlone: false))
        #expect(!Self.takes(&runs, DirectRuns.maximumBytes + 1))
        #expect(!Self.takes(&runs, nil))
    }

    @Test func aSlowRunSendsTheNextThroughTheRing() {
        var runs = DirectRuns()
        runs.note(nanoseconds: DirectRuns.slowNanoseconds)
        #expect(Self.takes(&runs, 1))
        runs.note(nanoseconds: DirectRuns.slowNanoseconds + 1)
        for _ in 0..<DirectRuns.operationsBehindSlow {
            #expect(!Self.takes(&runs, 1))
        }
        #expect(Self.takes(&runs, 1))
    }
}
