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

    /// Time, rate, latencies and syncs as columns, as many of them as there are.
    func figures(of amount: Int? = nil, syncs: Int? = nil) -> String {
        var text = Figures.duration(elapsed).paddedLeft(to: 9)
        if let amount { text += Figures.rate(amount, in: elapsed).paddedLeft(to: 14) }
        if !sorted.isEmpty {
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                text += "  \(name)" + Figures.duration(percentile(share)).paddedLeft(to: 8)
            }
        }
        if let syncs { text += "\(Figures.count(syncs)) syncs".paddedLeft(to: 12) }
        return text
    }
}
