import TestSupport
import Testing

@testable import Cordwood

@Suite struct GroupMembershipTests {
    @Test func rangesAreKafkas() {
        var group = GroupMembership()
        let first = group.join(["t": 7])
        let second = group.join(["t": 7])
        let third = group.join(["t": 7])
        func partitions(_ member: UInt64) -> [Int] {
            group.assignment(of: member).keys.map(\.partition).sorted()
        }
        #expect(partitions(first) == [0, 1, 2])
        #expect(partitions(second) == [3, 4])
        #expect(partitions(third) == [5, 6])
        let (left, leftAgain) = (group.leave(first), group.leave(first))
        #expect(left && !leftAgain)
        #expect(partitions(second) == [0, 1, 2, 3])
        #expect(partitions(third) == [4, 5, 6])
    }

    /// After each change every partition that someone reads has one owner, the ranges of a topic
    /// differ by one at most, and the generation of an owner changes exactly when the owner does.
    @Test func everyPartitionHasOneOwner() {
        for seed in UInt64(0)..<300 {
            var random = SeededGenerator(seed: seed)
            let topics = ["a": Int.random(in: 1...9, using: &random), "b": 4, "c": 1]
            var group = GroupMembership()
            var members: [UInt64: [String: Int]] = [:]
            for _ in 0..<20 {
                let before = group.owners
                let generation = group.generation
                if members.isEmpty || Bool.random(using: &random) {
                    let reads = topics.filter { _ in Bool.random(using: &random) }
                    members[group.join(reads)] = reads
                } else {
                    let member = members.keys.sorted().randomElement(using: &random)!
                    members[member] = nil
                    let left = group.leave(member)
                    #expect(left)
                }
                #expect(group.generation == generation + 1, "seed \(seed)")
                check(group, members, before, "seed \(seed)")
            }
        }
    }

    private func check(
        _ group: GroupMembership, _ members: [UInt64: [String: Int]],
        _ before: [TopicPartition: GroupMembership.Owner], _ context: Comment
    ) {
        var expected: Set<TopicPartition> = []
        for (topic, count) in members.values.flatMap({ $0 }) {
            for partition in 0..<count { expected.insert(TopicPartition(topic, partition)) }
        }
        #expect(Set(group.owners.keys) == expected, context)
        for (place, owner) in group.owners {
            #expect(members[owner.member]?[place.topic] != nil, context)
            #expect(
                owner.since
                    == (before[place]?.member == owner.member
                        ? before[place]?.since : group.generation),
                context)
        }
        for topic in ["a", "b", "c"] {
            let readers = members.filter { $0.value[topic] != nil }.keys
            let counts = readers.map { member in
                group.owners.filter { $0.key.topic == topic && $0.value.member == member }.count
            }
            if let most = counts.max(), let least = counts.min() {
                #expect(most - least <= 1, context)
            }
        }
    }
}
