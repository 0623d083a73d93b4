/// Whether and how a fold keeps its state in a file, so that it need not begin anew.
public struct FoldSnapshots<State: Sendable>: Sendable {
    /// The snapshots' name in the database: 1 to 249 characters of `A-Z a-z 0-9 . _ -`.
    public var name: String
    /// A number to be changed together with what the state means: snapshots of another version are
    /// not used.
    public var version: UInt32
    /// A snapshot is taken when so many records have been folded since the last one.
    public var everyRecords: Int
    public var encode: @Sendable (State) -> [UInt8]
    /// nil for bytes that are no state: it is rebuilt from the log.
    public var decode: @Sendable ([UInt8]) -> State?

    public init(
        name: String, version: UInt32 = 1, everyRecords: Int = 10_000,
        encode: @escaping @Sendable (State) -> [UInt8],
        decode: @escaping @Sendable ([UInt8]) -> State?
    ) {
        self.name = name
        self.version = version
        self.everyRecords = everyRecords
        self.encode = encode
        self.decode = decode
    }
}

extension DatabaseError.Code {
    /// Another fold that is open has snapshots of the same name.
    public static let viewInUse = Self(description: "view in use")
    /// The function of a fold threw; ``DatabaseError/cause`` is what. The next attempt begins with
    /// the last snapshot, or the log, and comes to the same record again.
    public static let foldFailed = Self(description: "fold failed")
}
