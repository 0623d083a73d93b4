internal import CCordwoodKernels
internal import CordwoodStorage

extension DiskSearcher {
    /// Compares all queries with all vectors of the blocks that `isWanted` names, which are read once,
    /// in their order. Throws as ``run(_:)``.
    func compareAll(_ task: Task, isWanted: (Int) -> Bool) throws(VectorError) {
        let slotCount = Self.lanes * Self.maximumWidth
        var blockOfSlot = [Int](repeating: 0, count: slotCount)
        var free = Array(0..<slotCount)
        var next = 0
        var failure: VectorError?
        while true {
            while failure == nil, !free.isEmpty, next < parts.layout.blockCount {
                defer { next += 1 }
                guard isWanted(next) else { continue }
                let slot = free.removeLast()
                blockOfSlot[slot] = next
                start(slot: slot, block: next)
            }
            guard free.count < slotCount else { break }
            var arrived: [Int] = []
            reader.complete(waits: true) { slot, result in
                arrived.append(slot)
                failure = failure ?? problem(with: result)
            }
            for slot in arrived {
                free.append(slot)
                guard failure == nil else { continue }
                do throws(VectorError) {
                    try compare(task, slot: slot, block: blockOfSlot[slot])
                } catch { failure = error }
            }
        }
        if let failure { throw failure }
    }

    private func compare(_ task: Task, slot: Int, block: Int) throws(VectorError) {
        let lane = queries[0]
        for number in 0..<task.count {
            lane.aim(task, number)
            try visit(lane.walk, slot: slot, block: block, CORDWOOD_DISK_COMPARE)
        }
    }
}
