import Cordwood
import CordwoodSimulation
import Testing

// What the README shows. It stands for a server's own test, so it has only what is public.
@Suite struct ExampleTests {
    // example:begin
    @Test func ordersThatWereConfirmedSurvivePowerCuts() async throws {
        for operation in 1...80 {
            let disk = SimulatedStorage(seed: UInt64(operation), scheduling: .bySeed)
            disk.inject(Fault(.powerCut, at: operation))
            let confirmed = await disk.run { await Shop.sell(10, on: disk) }
            disk.clearFaults()  // Perhaps it has not come to that operation.
            disk.crash(.bySeed)
            let found = try await disk.run { try await Shop.orders(on: disk) }
            #expect(found.starts(with: confirmed), "the power went at operation \(operation)")
        }
    }
    // example:end
}

/// The server under test.
private enum Shop {
    /// Takes orders until all are sold or something fails; returns those that it confirmed.
    static func sell(_ count: Int, on storage: some Storage) async -> [String] {
        var confirmed: [String] = []
        do {
            let database = try await Database.open(on: storage)
            let topic = try await database.topic("orders")
            for number in 1...count {
                _ = try await topic.append([Record("order \(number)")])
                confirmed.append("order \(number)")
            }
            try await database.close()
        } catch is DatabaseError {
        } catch is LogError {
        } catch { Issue.record(error) }
        return confirmed
    }

    static func orders(on storage: some Storage) async throws -> [String] {
        let database = try await Database.open(on: storage)
        var found: [String] = []
        let topic = try await database.topic("orders")
        for try await record in topic[0].records(from: 0, following: false) {
            found.append(record.text ?? "")
        }
        try await database.close()
        return found
    }
}
