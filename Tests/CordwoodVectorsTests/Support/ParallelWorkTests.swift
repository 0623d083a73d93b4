import Synchronization
import Testing

@testable import CordwoodVectors

@Suite struct ParallelWorkTests {
    @Test(arguments: [1, 2, 5], [1, 3, 100])
    func everyNumberIsWorkedOnOnce(threads: Int, chunk: Int) {
        for range in [0..<0, 0..<1, 5..<64, 3..<304] {
            let seen = Mutex([Int: Int]())
            ParallelWork.run(range, chunk: chunk, threads: threads) { thread, part in
                #expect((0..<threads).contains(thread) && part.count <= chunk && !part.isEmpty)
                seen.withLock { seen in for number in part { seen[number, default: 0] += 1 } }
            }
            #expect(seen.withLock { $0 } == Dictionary(uniqueKeysWithValues: range.map { ($0, 1) }))
        }
    }
}
