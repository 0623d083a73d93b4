/// Values by key, in the order in which they were last used. Every operation is O(1).
struct RecencyList<Value> {
    private struct Node {
        var key: UInt64
        var value: Value?
        var byteCount: Int
        /// Places of the neighbours in `nodes`; -1 for none.
        var older: Int
        var newer: Int
    }

    private var places: [UInt64: Int] = [:]
    private var nodes: [Node] = []
    private var free: [Int] = []
    private var oldest = -1
    private var newest = -1
    /// The sum of what the values were said to take.
    private(set) var byteCount = 0

    var count: Int { places.count }

    /// The value of a key, which becomes the newest.
    mutating func use(_ key: UInt64) -> Value? {
        guard let place = places[key] else { return nil }
        unlink(place)
        link(place)
        return nodes[place].value
    }

    /// Adds a value as the newest, in place of one of the same key.
    mutating func insert(_ value: Value, _ key: UInt64, byteCount: Int) {
        remove(key)
        let node = Node(key: key, value: value, byteCount: byteCount, older: -1, newer: -1)
        let place: Int
        if let reused = free.popLast() {
            place = reused
            nodes[place] = node
        } else {
            place = nodes.count
            nodes.append(node)
        }
        places[key] = place
        self.byteCount += byteCount
        link(place)
    }

    @discardableResult
    mutating func remove(_ key: UInt64) -> Value? {
        guard let place = places.removeValue(forKey: key) else { return nil }
        unlink(place)
        byteCount -= nodes[place].byteCount
        defer { nodes[place].value = nil }
        free.append(place)
        return nodes[place].value
    }

    mutating func removeOldest() -> Value? {
        oldest < 0 ? nil : remove(nodes[oldest].key)
    }

    private mutating func link(_ place: Int) {
        nodes[place].older = newest
        nodes[place].newer = -1
        if newest >= 0 { nodes[newest].newer = place } else { oldest = place }
        newest = place
    }

    private mutating func unlink(_ place: Int) {
        let (older, newer) = (nodes[place].older, nodes[place].newer)
        if older >= 0 { nodes[older].newer = newer } else { oldest = newer }
        if newer >= 0 { nodes[newer].older = older } else { newest = older }
    }
}
