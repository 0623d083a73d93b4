import Cordwood
import CordwoodSimulation
import Testing

// What docs/caching.md shows.
@Suite struct ExampleTests {
    // example:begin
    @Test func pricesThatTheLogHas() async throws {
        // A server has: Database.open(at: path).
        let database = try await Database.open(on: SimulatedStorage(seed: 1))
        var log = LogConfiguration()
        log.cleanupPolicy = .compact  // The latest record of each key stays.
        let topic = try await database.topic("prices", .init(partitions: 4, log: log))

        var configuration = CachedViewConfiguration(capacityBytes: 64 << 20)
        configuration.disk = DiskTierConfiguration(name: "prices", maximumBytes: 1 << 30)
        let prices = try await topic.cachedView(configuration)

        // Through the view: durable in the log, then in the cache.
        try await prices.write(Array("12.50".utf8), for: Array("apple".utf8))
        #expect(try await prices.value(for: Array("apple".utf8)).text == "12.50")

        // By anyone else: the receipt says from where on it is seen.
        let receipt = try await topic.append([Record("13.00", key: "apple")])
        let found = try await prices.value(for: Array("apple".utf8), atLeast: receipt)
        #expect(found.text == "13.00")
        #expect(found.offset > receipt.lastOffset)  // Up to where it is true.

        await prices.close()
        try await database.close()
    }
    // example:end
}
