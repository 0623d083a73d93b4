#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// How long entries live, and who renews them.
@usableFromInline struct Freshness: Sendable {
    @usableFromInline enum State { case fresh, due, expired }

    /// Nanoseconds; nil for without end.
    let lifetime: Int64?
    /// Nanoseconds for absences; nil where they are not remembered.
    let negativeLifetime: Int64?
    let jitter: Double
    let beta: Double
    let ahead: Int64

    init(_ configuration: CacheConfiguration) {
        lifetime = configuration.timeToLive.map(CacheClock.nanoseconds)
        negativeLifetime = configuration.negativeTimeToLive.map(CacheClock.nanoseconds)
        jitter = configuration.timeToLiveJitter
        beta = configuration.earlyRefresh
        ahead = configuration.refreshAhead.map(CacheClock.nanoseconds) ?? 0
    }

    /// When an entry that is written now is over.
    @usableFromInline func expiry(
        isAbsence: Bool, at now: Int64, _ random: inout UniformRandom
    ) -> Int64 {
        guard let whole = isAbsence ? negativeLifetime : lifetime else { return .max }
        let lived = max(1, Double(whole) * (1 - jitter * random.next()))
        let (end, overflow) = now.addingReportingOverflow(lived >= 0x1p63 ? .max : Int64(lived))
        return overflow ? .max : end
    }

    /// What a reader may do with an entry that has an end.
    @usableFromInline func state<Key, Value>(
        of entry: borrowing Entry<Key, Value>, at now: Int64, _ random: inout UniformRandom
    ) -> State {
        let (remaining, overflow) = entry.expiry.subtractingReportingOverflow(now)
        let whole = (entry.value == nil ? negativeLifetime : lifetime) ?? .max
        // More than a whole life is left only where the clock went back: the entry's age is unknown.
        guard !overflow, remaining > 0, remaining <= whole else { return .expired }
        if remaining <= ahead { return .due }
        let scale = Double(entry.loadNanoseconds) * beta
        // The logarithm is never above 38 here, so that most hits need none.
        guard scale > 0, Double(remaining) < scale * 38 else { return .fresh }
        return Double(remaining) <= scale * -log(random.next()) ? .due : .fresh
    }
}
