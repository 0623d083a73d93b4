import ArgumentParser
import CordwoodCausality

/// `cordwood-bench causality`: how long version vectors of eight actors take.
struct CausalityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "causality", abstract: "Measure version vectors of eight actors.")

    @Option(help: "Measured rounds, after one to warm up.")
    var rounds = 5

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds: expected 1 or more") }
    }

    func run() throws {
        let (a, b) = (try vector(1, last: 7), try vector(3, last: 7))
        let other = try vector(2, last: 8)
        var merged = a
        var line = JSONLine()
        line["actors"] = .integer(8)
        line["compare_ns"] = measure { a.compare(b) == .before }
        line["compare_concurrent_ns"] = measure { a.compare(other) == .concurrent }
        line["merge_ns"] = measure {
            merged.merge(b)
            return !merged.isEmpty
        }
        line["merge_copy_ns"] = measure { !a.merging(b).isEmpty }
        line["merge_other_actor_ns"] = measure { !a.merging(other).isEmpty }
        line.print()
    }

    /// Ids of 16 bytes, as UUIDs are.
    private func vector(_ count: Int, last: UInt8) throws -> VersionVector {
        var vector = VersionVector()
        for number in Array(0...6) + [last] {
            let actor = try ActorID(Array(repeating: number * 31, count: 16))
            for _ in 0..<count + Int(number) { try vector.increment(actor) }
        }
        return vector
    }

    private func measure(_ body: () -> Bool) -> JSONValue {
        let count = 1_000_000
        let clock = ContinuousClock()
        let times = (0...rounds).map { _ in
            var held = 0
            let time = clock.measure { for _ in 0..<count where body() { held += 1 } }
            precondition(held == count)
            return time / .nanoseconds(1) / Double(count)
        }
        return Samples(times.dropFirst()).json
    }
}
