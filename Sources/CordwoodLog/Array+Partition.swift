extension Array {
    /// The first index whose element is in the second part of an array that is in two: all for which
    /// `isBehind` is false, then all for which it is true. O(log n).
    func partitionIndex(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
