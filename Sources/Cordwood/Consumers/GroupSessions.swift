import CordwoodStorage
import Synchronization

/// The sessions of the groups that somebody holds: by a handle, a consumer, or a commit that is on
/// its way. There is one for each group at a time, and it goes with the last who holds it.
final class GroupSessions: Sendable {
    private struct Open {
        let id: UInt64
        weak var session: GroupSession?
    }

    private struct State {
        var open: [String: Open] = [:]
        var nextID: UInt64 = 0
        /// When groups were left by their last consumers, until somebody asks.
        var departures: [String: Int64] = [:]
    }

    private let state = Mutex(State())
    private let clock: any WallClock

    init(clock: any WallClock) { self.clock = clock }

    var count: Int { state.withLock { $0.open.count } }

    func session(_ group: String) -> GroupSession {
        state.withLock { state in
            if let session = state.open[group]?.session { return session }
            state.nextID += 1
            let session = GroupSession(group, id: state.nextID, in: self)
            state.open[group] = Open(id: state.nextID, session: session)
            return session
        }
    }

    /// A session is gone; another of the same name may be there by now.
    func close(_ group: String, id: UInt64) {
        state.withLock { state in
            if state.open[group]?.id == id { state.open[group] = nil }
        }
    }

    /// A group has no consumer any more.
    func noteDeparture(from group: String) {
        let now = clock.millisecondsNow()
        state.withLock { $0.departures[group] = now }
    }

    /// When groups were left by their last consumers since this was asked before.
    func takeDepartures() -> [String: Int64] {
        state.withLock { state in
            defer { state.departures = [:] }
            return state.departures
        }
    }
}
