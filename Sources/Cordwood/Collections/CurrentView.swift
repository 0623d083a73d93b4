import CordwoodLog
import Synchronization

/// The view of a collection's log as it is now. After a truncation of the log, which took records
/// away that the view holds, it is made anew from what is there.
///
/// May be used from any task. Whoever has got a version may go on with it: a truncation that comes
/// later is the next one's business.
final class CurrentView: Sendable {
    struct Version: Sendable {
        var view: any CollectionViewing
        /// How many truncations of the log it knows of.
        var truncations: Int
    }

    private let log: any Log
    private let rebuild: @Sendable () async throws(DatabaseError) -> any CollectionViewing
    private let version: Mutex<Version>
    private let turn = AsyncLock()

    /// Makes the first view; `rebuild` replays the log from its start.
    init(
        of log: any Log,
        rebuild: @escaping @Sendable () async throws(DatabaseError) -> any CollectionViewing
    ) async throws(DatabaseError) {
        self.log = log
        self.rebuild = rebuild
        version = Mutex(try await Self.newVersion(log, rebuild))
    }

    /// The version that was made last, true or not.
    var latest: Version { version.withLock { $0 } }
    var isCurrent: Bool { isCurrent(latest) }

    /// Whether the log has not been cut since a version was made.
    func isCurrent(_ version: Version) -> Bool { version.truncations == log.truncations.count }

    /// The last version holds every record before this offset of the log as it is now.
    var appliedOffset: Int64 {
        let latest = latest
        let cuts = log.truncations.dropFirst(latest.truncations)
        return min(latest.view.appliedOffset, cuts.min() ?? .max)
    }

    /// The version that is true now. O(1), and after a truncation O(bytes of the log), once for all
    /// who ask. Throws what a replay throws; the next who asks tries again.
    func current() async throws(DatabaseError) -> Version {
        let latest = latest
        if latest.truncations == log.truncations.count { return latest }
        return try await turn.withLock { () async throws(DatabaseError) in
            if isCurrent { return self.latest }
            let fresh = try await Self.newVersion(log, rebuild)
            version.withLock { $0 = fresh }
            return fresh
        }
    }

    /// Lets go of those who wait in a version for a change that will never come, after an append
    /// failed that was made for it: what was appended behind that one, to memory only, is lost.
    func abandonLost(in version: Version) {
        if version.truncations != log.truncations.count {
            version.view.abandon(from: 0)
        } else if log.health == .poisoned {
            version.view.abandon(from: log.endOffset)
        }
    }

    private static func newVersion(
        _ log: any Log, _ rebuild: () async throws(DatabaseError) -> any CollectionViewing
    ) async throws(DatabaseError) -> Version {
        while true {
            let truncations = log.truncations.count
            do throws(DatabaseError) {
                let view = try await rebuild()
                // Cut again while it was read: what was read may be gone.
                if log.truncations.count == truncations {
                    return Version(view: view, truncations: truncations)
                }
            } catch {
                if log.truncations.count == truncations { throw error }
            }
        }
    }
}
