/// Which entries carry which tags. Entries without tags take no room here.
@usableFromInline struct TagIndex {
    private var slotsOfTag: [String: Set<Int>] = [:]
    private var tagsOfSlot: [Int: [String]] = [:]

    @usableFromInline init() {}

    @usableFromInline mutating func insert(_ slot: Int, _ tags: [String]) {
        tagsOfSlot[slot] = tags
        for tag in tags { slotsOfTag[tag, default: []].insert(slot) }
    }

    @usableFromInline mutating func remove(_ slot: Int) {
        guard !tagsOfSlot.isEmpty, let tags = tagsOfSlot.removeValue(forKey: slot) else { return }
        for tag in tags {
            slotsOfTag[tag]?.remove(slot)
            if slotsOfTag[tag]?.isEmpty == true { slotsOfTag[tag] = nil }
        }
    }

    func slots(of tag: String) -> Set<Int> { slotsOfTag[tag] ?? [] }
}
