/// When groups were last heard of, which decides when their offsets are given up (Kafka:
/// `offsets.retention.minutes`).
///
/// A pure value. Times are the database's clock, in milliseconds, which may jump: one that lies in
/// the future counts as now, when it is met, so that it keeps nothing for longer than the present
/// does.
struct GroupActivity {
    /// Who was a consumer before the database was opened is written down nowhere. For so long a
    /// group is not given up that may still come back.
    static let returnMilliseconds: Int64 = 3_600_000

    private var lastSeen: [String: Int64] = [:]
    private var openedAt: Int64

    init(openedAt: Int64) { self.openedAt = max(0, openedAt) }

    /// A commit, or the departure of the last consumer. The later one counts.
    mutating func note(_ group: String, at time: Int64) {
        lastSeen[group] = max(lastSeen[group] ?? 0, time)
    }

    mutating func forget(_ group: String) { lastSeen[group] = nil }

    /// Whether nothing was heard of a group for `retention` or longer. One that has consumers is
    /// heard of now.
    mutating func isExpired(
        _ group: String, hasConsumers: Bool, now: Int64, after retention: Int64
    ) -> Bool {
        let now = max(0, now)
        openedAt = min(openedAt, now)
        let seen = hasConsumers ? now : min(lastSeen[group] ?? now, now)
        lastSeen[group] = seen
        return now - seen >= retention && now - openedAt >= min(Self.returnMilliseconds, retention)
    }
}
