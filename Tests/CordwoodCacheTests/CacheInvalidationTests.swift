import CordwoodCache
import Testing

@Suite struct CacheInvalidationTests {
    private static func cache() throws -> Cache<String, Int> {
        let cache = try Cache<String, Int>(CacheConfiguration(capacity: 100))
        for user in 1...12 {
            try cache.insert(user, for: "user/\(user)", tags: ["users", "even:\(user % 2 == 0)"])
        }
        try cache.insert(0, for: "page")
        return cache
    }

    @Test func byKey() throws {
        let cache = try Self.cache()
        cache.invalidate("user/1")
        cache.invalidate("user/99")
        #expect(cache.value(for: "user/1") == nil)
        #expect(cache.statistics.invalidations == 1)
        #expect(cache.statistics.entryCount == 12)
    }

    @Test func byTag() throws {
        let cache = try Self.cache()
        cache.invalidate(tag: "even:true")
        #expect(cache.statistics.entryCount == 7)
        #expect(cache.value(for: "user/2") == nil)
        #expect(cache.value(for: "user/3") == 3)
        // A key that is written anew has the tags of that alone.
        try cache.insert(30, for: "user/3", tags: ["new"])
        cache.invalidate(tag: "users")
        #expect(cache.statistics.entryCount == 2)
        #expect(cache.value(for: "user/3") == 30)
        cache.invalidate(tag: "new")
        cache.invalidate(tag: "unknown")
        #expect(cache.value(for: "page") == 0)
        #expect(cache.statistics.entryCount == 1)
    }

    @Test func byPrefix() throws {
        let cache = try Self.cache()
        cache.invalidate(prefix: "user/1")
        #expect(cache.statistics.entryCount == 9)
        #expect(cache.value(for: "user/12") == nil)
        #expect(cache.value(for: "user/2") == 2)
        cache.invalidate(prefix: "")
        #expect(cache.statistics.entryCount == 0)
    }

    /// Tags go with their entries: a slot's next entry does not have them.
    @Test func tagsOfEvictedEntriesAreForgotten() throws {
        var configuration = CacheConfiguration(capacity: 5)
        configuration.shards = 1
        let cache = try Cache<Int, Int>(configuration)
        for key in 0..<100 { try cache.insert(key, for: key, tags: ["old"]) }
        for key in 100..<200 { try cache.insert(key, for: key) }
        let before = cache.statistics.entryCount
        cache.invalidate(tag: "old")
        #expect((100..<200).filter { cache.value(for: $0) != nil }.count > 0)
        #expect(cache.statistics.entryCount == before - cache.statistics.invalidations)
        #expect((0..<100).allSatisfy { cache.value(for: $0) == nil })
    }
}
