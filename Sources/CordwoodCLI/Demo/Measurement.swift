/// How long a number of calls took, one by one and together.
struct Measurement {
    let elapsed: Duration
    private let sorted: [Duration]

    init(elapsed: Duration, latencies: [Duration]) {
        self.elapsed = elapsed
        sorted = latencies.sorted()
    }

    /// The latency that `share` of all calls kept within; nearest rank.
    func percentile(_ share: Double) -> Duration {
        guard !sorted.isEmpty else { return .zero }
        let rank = Int((share * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    /// Rate and latencies, and how many syncs they took.
    func description(of amount: Int, syncs: Int? = nil) -> String {
        var text =
            "\(Figures.duration(elapsed))  \(Figures.rate(amount, in: elapsed))  "
            + "p50 \(Figures.duration(percentile(0.5)))  p99 \(Figures.duration(percentile(0.99)))"
        if let syncs { text += "  \(Figures.count(syncs)) syncs" }
        return text
    }
}
