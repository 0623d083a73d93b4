extension VersionVector {
    /// How this vector stands to `other`. O(actors of both); allocates nothing.
    public func compare(_ other: VersionVector) -> CausalOrder {
        storage.withUnsafeBytes { mine in
            other.storage.withUnsafeBytes { theirs in
                var a = EntryCursor(mine)
                var b = EntryCursor(theirs)
                var isAhead = false
                var isBehind = false
                // Each round passes an entry of one of the two.
                while !a.isAtEnd, !b.isAtEnd {
                    let order = a.order(to: b)
                    if order == 0 {
                        let (counter, otherCounter) = (a.counter, b.counter)
                        if counter > otherCounter { isAhead = true }
                        if counter < otherCounter { isBehind = true }
                        a.advance()
                        b.advance()
                    } else if order < 0 {
                        isAhead = true
                        a.advance()
                    } else {
                        isBehind = true
                        b.advance()
                    }
                    if isAhead && isBehind { return .concurrent }
                }
                if !a.isAtEnd { isAhead = true }
                if !b.isAtEnd { isBehind = true }
                return switch (isAhead, isBehind) {
                case (false, false): .equal
                case (false, true): .before
                case (true, false): .after
                case (true, true): .concurrent
                }
            }
        }
    }

    /// Whether every event of `other` is in this vector. O(actors of both); allocates nothing.
    public func contains(_ other: VersionVector) -> Bool {
        switch other.compare(self) {
        case .equal, .before: true
        case .after, .concurrent: false
        }
    }

    /// Adds the events of `other`: the least vector that contains both. Associative, commutative and
    /// idempotent. O(actors of both); allocates only where `other` has an actor that is not here, or
    /// where the bytes are shared with a copy.
    public mutating func merge(_ other: VersionVector) {
        if storage.isEmpty {
            storage = other.storage
        } else if !raiseCounters(other) {
            storage = Self.union(storage, other.storage)
        }
    }

    /// This vector merged with `other`.
    public func merging(_ other: VersionVector) -> VersionVector {
        var result = self
        result.merge(other)
        return result
    }

    /// Raises the counters of actors that both have; returns false on the first that is not here.
    private mutating func raiseCounters(_ other: VersionVector) -> Bool {
        storage.withUnsafeMutableBytes { mine in
            other.storage.withUnsafeBytes { theirs in
                var a = EntryCursor(UnsafeRawBufferPointer(mine))
                var b = EntryCursor(theirs)
                while !b.isAtEnd {
                    if a.isAtEnd { return false }
                    let order = a.order(to: b)
                    if order > 0 { return false }
                    if order == 0 {
                        a.raise(to: b.counter, in: mine)
                        b.advance()
                    }
                    a.advance()
                }
                return true
            }
        }
    }

    private static func union(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        // Written in place, since appending entries one by one takes three times as long.
        [UInt8](unsafeUninitializedCapacity: a.count + b.count) { target, count in
            let target = UnsafeMutableRawBufferPointer(target)
            a.withUnsafeBytes { first in
                b.withUnsafeBytes { second in
                    var a = EntryCursor(first)
                    var b = EntryCursor(second)
                    while !a.isAtEnd || !b.isAtEnd {
                        let order = a.isAtEnd ? 1 : b.isAtEnd ? -1 : a.order(to: b)
                        let takesFirst = order < 0 || order == 0 && a.counter >= b.counter
                        count += (takesFirst ? a : b).copy(to: target, at: count)
                        if order <= 0 { a.advance() }
                        if order >= 0 { b.advance() }
                    }
                }
            }
        }
    }
}
