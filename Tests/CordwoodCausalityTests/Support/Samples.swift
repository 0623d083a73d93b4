import CordwoodCausality
import TestSupport

typealias ByteSet = DottedVersionVectorSet<[UInt8]>

/// Actors whose ids are prefixes of each other, not text, and as long as they may be.
func sampleActors() throws -> [ActorID] {
    try ["a", "ab", "b", "paris", "tokyo"].map { try ActorID($0) }
        + [ActorID([0]), ActorID([255, 0]), ActorID(Array(repeating: 7, count: 255))]
}

extension SeededGenerator {
    /// A vector over some of `actors`, with small counters so that ties are frequent.
    mutating func vector(_ actors: [ActorID]) throws -> (
        vector: VersionVector, model: [ActorID: UInt64]
    ) {
        var vector = VersionVector()
        var model: [ActorID: UInt64] = [:]
        for _ in 0..<Int.random(in: 0...10, using: &self) {
            let actor = actors.randomElement(using: &self)!
            try vector.increment(actor)
            model[actor, default: 0] += 1
        }
        return (vector, model)
    }
}
