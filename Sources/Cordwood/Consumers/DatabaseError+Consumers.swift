extension DatabaseError.Code {
    /// An offset or its metadata that cannot be committed; nothing was written.
    public static let invalidOffset = Self(description: "invalid offset")
    /// Some partitions belong to another consumer of the group now: what was processed of them is
    /// not committed, and will be processed again. The other partitions' offsets are committed.
    public static let partitionRevoked = Self(description: "partition revoked")
    /// The group has consumers at work; close them first. Nothing was written.
    public static let groupInUse = Self(description: "group in use")
    /// The group's next record is no longer in the log, or not yet, and the consumer's policy is to
    /// be told. `seek` to where it shall go on.
    public static let offsetOutOfRange = Self(description: "offset out of range")
    /// A record of an internal topic that does not parse, although its checksum holds.
    public static let malformedState = Self(description: "malformed state")
}
