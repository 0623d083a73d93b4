/// S3-FIFO from the paper's description, with arrays, oldest first.
struct PlainModel {
    struct Entry: Equatable {
        var key: Int
        var value: Int
        var weight: Int
        var hits = 0
    }

    let capacity: Int
    var small: [Entry] = []
    var main: [Entry] = []
    var ghosts: [Int] = []
    var hasEvicted = false
    var evicted: [Int] = []

    init(capacity: Int) { self.capacity = capacity }

    var weight: Int { (small + main).reduce(0) { $0 + $1.weight } }
    private var smallCapacity: Int { max(1, capacity / 10) }

    mutating func value(for key: Int) -> Int? {
        if let index = small.firstIndex(where: { $0.key == key }) {
            small[index].hits = min(3, small[index].hits + 1)
            return small[index].value
        }
        guard let index = main.firstIndex(where: { $0.key == key }) else { return nil }
        main[index].hits = min(3, main[index].hits + 1)
        return main[index].value
    }

    mutating func insert(_ key: Int, _ value: Int, _ weight: Int) {
        if let index = small.firstIndex(where: { $0.key == key }) {
            (small[index].value, small[index].weight) = (value, weight)
        } else if let index = main.firstIndex(where: { $0.key == key }) {
            (main[index].value, main[index].weight) = (value, weight)
        } else {
            let isRemembered = ghosts.contains(key)
            ghosts.removeAll { $0 == key }
            while self.weight + weight > capacity { evict() }
            let entry = Entry(key: key, value: value, weight: weight)
            let smallWeight = small.reduce(0) { $0 + $1.weight }
            if isRemembered || !hasEvicted && smallWeight >= smallCapacity {
                main.append(entry)
            } else {
                small.append(entry)
            }
        }
        while self.weight > capacity { evict() }
    }

    mutating func invalidate(_ key: Int) {
        small.removeAll { $0.key == key }
        main.removeAll { $0.key == key }
    }

    private mutating func evict() {
        hasEvicted = true
        let mainWeight = main.reduce(0) { $0 + $1.weight }
        if mainWeight > capacity - smallCapacity || small.isEmpty {
            while true {
                var entry = main.removeFirst()
                if entry.hits == 0 { return evicted.append(entry.key) }
                entry.hits -= 1
                main.append(entry)
            }
        }
        while !small.isEmpty {
            var entry = small.removeFirst()
            if entry.hits < 2 {
                while ghosts.count >= max(1, main.count) { ghosts.removeFirst() }
                ghosts.append(entry.key)
                return evicted.append(entry.key)
            }
            entry.hits = 0
            main.append(entry)
        }
    }
}
