import CordwoodCausality

extension DatabaseError.Code {
    /// A key of a shared topic that has no bytes, or too many; nothing was written.
    public static let invalidKey = Self(description: "invalid key")
    /// A value, or what a merge made, that is larger than a shared topic takes; nothing was written.
    public static let valueTooLarge = Self(description: "value too large")
    /// A write that would leave more than 64 siblings since it replaces none of them, or an exchange
    /// that would leave more than 1,024. Nothing was written.
    public static let tooManySiblings = Self(description: "too many siblings")
    /// More databases than a shared topic takes: 1,024. Nothing was written.
    public static let tooManyActors = Self(description: "too many actors")
    /// A context with events that this database has not seen; nothing was written. Exchange first.
    public static let unknownContext = Self(description: "unknown context")
    /// A message of an exchange that does not parse, or is for another topic; nothing was applied.
    public static let malformedMessage = Self(description: "malformed message")
    /// A peer that counts its events under the name of this database: one is a copy of the other.
    /// Nothing was applied. See ``SharedTopic/renewActor()``.
    public static let sameActor = Self(description: "same actor")
    /// A peer has seen events of this database that it has not made, or other ones of the same
    /// number: this database, or a copy of it, gave a number twice. Nothing was applied. See
    /// ``SharedTopic/renewActor()``.
    public static let actorReused = Self(description: "actor reused")
    /// A peer's timestamp is further ahead of this database's clock than allowed; nothing was applied.
    public static let clockAhead = Self(description: "clock ahead")
    /// This database's clock is further behind what it has seen than allowed; nothing was written.
    public static let clockWentBack = Self(description: "clock went back")
}

extension DatabaseError {
    init(_ cause: CausalityError, _ place: String, otherwise code: Code) {
        let code: Code =
            switch cause.code {
            case .remoteClockAhead: .clockAhead
            case .clockWentBack, .timeOutOfRange: .clockWentBack
            default: code
            }
        self.init(code, place, cause: cause)
    }
}
