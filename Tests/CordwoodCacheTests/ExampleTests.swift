import CordwoodCache
import Testing

// What docs/caching.md shows.
@Suite struct ExampleTests {
    /// What is slow.
    private struct Origin {
        func fetch(_ path: String) async throws -> [UInt8]? { path == "/none" ? nil : [1, 2, 3] }
    }

    private let origin = Origin()

    // example:begin
    @Test func pagesInFrontOfAnOrigin() async throws {
        var configuration = CacheConfiguration(capacity: 64 << 20)  // Bytes, by the weigher.
        configuration.timeToLive = .seconds(60)
        configuration.negativeTimeToLive = .seconds(5)
        let pages = try Cache<String, [UInt8]>(configuration) { path, page in
            path.utf8.count + page.count
        }
        for path in ["/news/1", "/none"] {
            let page = try await pages.value(for: path, tags: ["site:7"]) { path in
                try await origin.fetch(path)  // Nil where there is no such page.
            }
            #expect(page == (path == "/none" ? nil : [1, 2, 3]))
        }
        pages.invalidate("/news/1")
        pages.invalidate(tag: "site:7")
        pages.invalidate(prefix: "/news/")
    }
    // example:end
}
