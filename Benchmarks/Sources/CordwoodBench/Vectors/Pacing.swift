/// Lets another program take turns with this one, so that two engines are measured side by side and
/// never at once.
///
/// When paced, a line of output says that the index is built and each round is over, and each round
/// waits for a line of input.
struct Pacing {
    let isPaced: Bool

    func tellReady() {
        guard isPaced else { return }
        var line = JSONLine()
        line["ready"] = .bool(true)
        line.print()
    }

    /// Throws when nobody is there to give the turn any more.
    func waitForTurn() throws {
        guard isPaced else { return }
        guard readLine() != nil else { throw BenchError("--paced: the input has ended") }
    }

    /// `round` is 0 for the one that warms up.
    func tellRound(_ round: Int, _ mode: SearchMode, queriesPerSecond: Double) {
        guard isPaced else { return }
        var line = JSONLine()
        line["round"] = .integer(round)
        line["mode"] = .string(mode.rawValue)
        line["qps"] = .number(queriesPerSecond)
        line.print()
    }
}
