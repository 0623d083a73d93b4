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
    /// events that are not while the bytes are shared with a copy, and then once.
    public mutating func merge(_ other: VersionVector) {
        guard !storage.isEmpty else {
            storage = other.storage
            return
        }
        let (missingBytes, isBehind) = lack(of: other)
        if missingBytes > 0 {
            storage = Self.union(
                storage, other.storage, byteCount: storage.count + missingBytes)
        } else if isBehind {
            raiseCounters(other)
        }
    }

    /// This vector merged with `other`.
    public func merging(_ other: VersionVector) -> VersionVector {
        var result = self
        result.merge(other)
        return result
    }

    /// How many bytes the entries of `other` take whose actors are not here, and whether it has more
    /// events of an actor that is.
    private func lack(of other: VersionVector) -> (missingBytes: Int, isBehind: Bool) {
        storage.withUnsafeBytes { mine in
            other.storage.withUnsafeBytes { theirs in
                var a = EntryCursor(mine)
                var b = EntryCursor(theirs)
                var missingBytes = 0
                var isBehind = false
                // Each round passes an entry of one of the two.
                while !b.isAtEnd {
                    let order = a.isAtEnd ? 1 : a.order(to: b)
                    if order < 0 {
                        a.advance()
                        continue
                    }
                    if order == 0 {
                        if a.counter < b.counter { isBehind = true }
                        a.advance()
                    } else {
                        missingBytes += b.byteCount
                    }
                    b.advance()
                }
                return (missingBytes, isBehind)
            }
        }
    }

    /// Raises the counters to those of `other`, whose actors are all here.
    private mutating func raiseCounters(_ other: VersionVector) {
        storage.withUnsafeMutableBytes { mine in
            other.storage.withUnsafeBytes { theirs in
                var a = EntryCursor(UnsafeRawBufferPointer(mine))
                var b = EntryCursor(theirs)
                while !b.isAtEnd, !a.isAtEnd {
                    if a.order(to: b) == 0 {
                        a.raise(to: b.counter, in: mine)
                        b.advance()
                    }
                    a.advance()
                }
            }
        }
    }

    /// The union of two, which takes so many bytes.
    private static func union(_ a: [UInt8], _ b: [UInt8], byteCount: Int) -> [UInt8] {
        // Written in place, since appending entries one by one takes three times as long.
        [UInt8](unsafeUninitializedCapacity: byteCount) { target, count in
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
