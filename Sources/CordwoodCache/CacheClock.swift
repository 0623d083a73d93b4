/// A caller's clock as the cache needs it, whatever its type.
@usableFromInline struct CacheClock: Sendable {
    /// Nanoseconds since some moment.
    @usableFromInline let now: @Sendable () -> Int64
    let sleep: @Sendable (Duration) async throws -> Void

    init<C: Clock>(_ clock: C) where C.Duration == Duration {
        let origin = clock.now
        now = { Self.nanoseconds(origin.duration(to: clock.now)) }
        sleep = { try await clock.sleep(for: $0) }
    }

    /// A duration as a number, at the ends of `Int64` where it is longer: about 292 years.
    static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, again) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || again ? (seconds < 0 ? .min : .max) : sum
    }
}
