import Cordwood
import CordwoodSimulation
import Testing

@Suite struct IdempotentAppendTests {
    @Test func whatIsSentAgainIsAppendedOnce() async throws {
        let storage = SimulatedStorage(seed: 1)
        var database = try await Database.open(on: storage)
        var partition = try await database.topic("orders")[0]
        let first = try await database.newProducerID()
        let second = try await database.newProducerID()
        #expect(first != second)
        func send(_ id: Int64, epoch: Int16 = 0, _ sequence: Int32, _ texts: String...) async throws
            -> ClosedRange<Int64>
        {
            let receipt = try await partition.append(
                texts.map { Record($0) }, producerID: id, epoch: epoch, sequence: sequence)
            return receipt.firstOffset...receipt.lastOffset
        }
        #expect(try await send(first, 0, "a", "b") == 0...1)
        #expect(try await send(second, 0, "c") == 2...2)
        #expect(try await send(first, 0, "a", "b") == 0...1)
        #expect(try await send(first, 2, "d") == 3...3)
        for life in 0..<2 {
            await #expect { try await send(first, 4, "x") } throws: {
                ($0 as? LogError)?.code == .outOfOrderSequence
            }
            #expect(try await send(first, 2, "d") == 3...3)
            guard life == 0 else { break }
            storage.crash(.dropUnsynced)
            database = try await Database.open(on: storage)
            partition = try await database.topic("orders")[0]
        }
        #expect(try await send(first, epoch: 1, 0, "e") == 4...4)
        await #expect { try await send(first, 3, "x") } throws: {
            ($0 as? LogError)?.code == .producerFenced
        }
        await #expect { try await send(-1, 0, "x") } throws: {
            ($0 as? LogError)?.code == .invalidProducer
        }
        #expect(partition.endOffset == 5)
        // Never given twice, not after a crash either, and not to a transactional producer.
        let third = try await database.newProducerID()
        let producer = try await database.producer(transactionalID: "t")
        #expect(Set([first, second, third, producer.producerID]).count == 4)
        try await database.close()
        await #expect(throws: DatabaseError.self) { try await database.newProducerID() }
    }
}
