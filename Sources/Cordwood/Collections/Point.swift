/// A vector under an id, with a payload.
public struct Point: Sendable, Hashable {
    public var id: UInt64
    public var vector: [Float]
    public var payload: [String: PayloadValue]

    public init(id: UInt64, vector: [Float], payload: [String: PayloadValue] = [:]) {
        self.id = id
        self.vector = vector
        self.payload = payload
    }
}
