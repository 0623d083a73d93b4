/// Who of a group's consumers in this process reads which partitions: Kafka's range assignment.
///
/// A pure value. Each change of members begins a new generation; a partition that changes hands
/// carries the generation in which it did, and only its owner of that generation may commit it.
struct GroupMembership {
    struct Owner: Equatable {
        var member: UInt64
        /// The generation in which it got the partition.
        var since: Int32
    }

    private(set) var generation: Int32 = 0
    private(set) var owners: [TopicPartition: Owner] = [:]
    /// The topics that each member reads, with their numbers of partitions.
    private var members: [UInt64: [String: Int]] = [:]
    private var nextMember: UInt64 = 0

    var isEmpty: Bool { members.isEmpty }

    mutating func join(_ topics: [String: Int]) -> UInt64 {
        nextMember += 1
        members[nextMember] = topics
        assign()
        return nextMember
    }

    /// Returns false for one that is no member any more.
    mutating func leave(_ member: UInt64) -> Bool {
        guard members.removeValue(forKey: member) != nil else { return false }
        assign()
        return true
    }

    /// The partitions of a member, with the generation in which it got each.
    func assignment(of member: UInt64) -> [TopicPartition: Int32] {
        owners.filter { $0.value.member == member }.mapValues(\.since)
    }

    /// Spreads each topic's partitions over the members that read it, in order of their ids: ranges
    /// of equal length, the first ones longer by one where it does not come out even.
    private mutating func assign() {
        generation &+= 1
        var partitions: [String: Int] = [:]
        for topics in members.values { partitions.merge(topics) { max($0, $1) } }
        let before = owners
        owners = [:]
        for (topic, count) in partitions {
            let readers = members.filter { $0.value[topic] != nil }.keys.sorted()
            for (rank, member) in readers.enumerated() {
                for partition in Self.range(rank, of: readers.count, count: count) {
                    let place = TopicPartition(topic, partition)
                    let old = before[place]
                    let since = old?.member == member ? old!.since : generation
                    owners[place] = Owner(member: member, since: since)
                }
            }
        }
    }

    private static func range(_ rank: Int, of readers: Int, count: Int) -> Range<Int> {
        let (share, extra) = count.quotientAndRemainder(dividingBy: readers)
        let first = rank * share + min(rank, extra)
        return first..<first + share + (rank < extra ? 1 : 0)
    }
}
