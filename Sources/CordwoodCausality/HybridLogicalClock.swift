/// Gives timestamps that are close to the time of day and respect causes: what was sent has an earlier
/// timestamp than what happened after it was received, whatever the machines' clocks say.
///
/// A value that knows no clock: each call is given this node's time. Share one behind a lock. All calls
/// are O(1).
///
/// Timestamps of one clock strictly increase, also when this node's time stands still or goes back; and
/// none is ever more than ``maximumDriftMilliseconds`` ahead of the time that the call was given.
///
/// Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks" (2014).
public struct HybridLogicalClock: Sendable, Hashable {
    /// How far ahead of this node's time a timestamp may be.
    public let maximumDriftMilliseconds: Int64
    /// The newest timestamp that was given or received.
    public private(set) var latest: HybridTimestamp

    /// - Parameters:
    ///   - maximumDriftMilliseconds: should exceed the error of the machines' clocks by far; a negative
    ///     number counts as 0.
    ///   - latest: the newest timestamp that was given before a restart, so that none is given twice.
    public init(
        maximumDriftMilliseconds: Int64 = 60_000,
        latest: HybridTimestamp = HybridTimestamp(rawValue: 0)
    ) {
        self.maximumDriftMilliseconds = max(0, maximumDriftMilliseconds)
        self.latest = latest
    }

    /// The timestamp of a local event, or of a message to be sent.
    ///
    /// - Parameter now: this node's time, milliseconds since 1970.
    /// - Throws: ``CausalityError/Code/clockWentBack`` where the next timestamp would be too far ahead
    ///   of `now`; the clock works again once time has caught up.
    ///   ``CausalityError/Code/timeOutOfRange`` for a time that no timestamp can hold.
    public mutating func tick(at now: Int64) throws(CausalityError) -> HybridTimestamp {
        try advance(past: latest, at: now)
    }

    /// Takes note of a timestamp that came with a message, and returns that of its receipt.
    ///
    /// - Throws: ``CausalityError/Code/remoteClockAhead`` for one that is too far ahead of `now`: such
    ///   a message is not to be taken, or one wrong clock drags all others along. Otherwise as
    ///   ``tick(at:)``.
    public mutating func receive(
        _ remote: HybridTimestamp, at now: Int64
    ) throws(CausalityError) -> HybridTimestamp {
        let physical = try HybridTimestamp(milliseconds: now)
        guard remote.milliseconds - physical.milliseconds <= maximumDriftMilliseconds else {
            throw CausalityError(
                .remoteClockAhead,
                "expected at most \(maximumDriftMilliseconds) ms ahead of \(now), found "
                    + "\(remote.milliseconds)")
        }
        return try advance(past: max(latest, remote), at: now)
    }

    /// The least timestamp behind `floor` that is not before `now`.
    private mutating func advance(
        past floor: HybridTimestamp, at now: Int64
    ) throws(CausalityError) -> HybridTimestamp {
        let physical = try HybridTimestamp(milliseconds: now)
        var next = physical
        if physical <= floor {
            // A full counter carries into the milliseconds, which the bound below covers as well.
            let (raised, overflow) = floor.rawValue.addingReportingOverflow(1)
            next = HybridTimestamp(rawValue: raised)
            guard !overflow, next.milliseconds - now <= maximumDriftMilliseconds else {
                throw CausalityError(
                    .clockWentBack,
                    "the next timestamp would be behind \(floor), more than "
                        + "\(maximumDriftMilliseconds) ms ahead of \(now)")
            }
        }
        latest = next
        return next
    }
}
