/// A line on standard error that shows how far the work is, how fast and how much time is left.
/// Draws nothing where standard error is no terminal.
struct ProgressBar {
    private static let width = 24
    private static let redrawInterval = Duration.milliseconds(100)

    let label: String
    let total: Int
    private let began = ContinuousClock.now
    private let isShown = FileDescriptor.isTerminal(FileDescriptor.standardError)
    private var drawn: ContinuousClock.Instant?

    init(_ label: String, total: Int) {
        self.label = label
        self.total = total
    }

    mutating func update(_ done: Int) {
        let now = ContinuousClock.now
        guard isShown, drawn.map({ now - $0 >= Self.redrawInterval }) ?? true else { return }
        drawn = now
        draw(Self.text(label, done: done, total: total, elapsed: now - began))
    }

    /// Removes the line.
    func clear() {
        if drawn != nil { draw("") }
    }

    private func draw(_ text: String) {
        // The bar is an ornament: a terminal that went away is met by the next real output.
        try? FileDescriptor.writeAll(
            Array("\r\u{1B}[K\(text)".utf8), to: FileDescriptor.standardError)
    }

    static func text(_ label: String, done: Int, total: Int, elapsed: Duration) -> String {
        let share = total > 0 ? min(1, Double(done) / Double(total)) : 1
        let filled = Int(share * Double(width))
        let bar =
            String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        var text = "\(label) [\(bar)] \(Int(share * 100))%  \(Figures.rate(done, in: elapsed))"
        if share > 0, share < 1 {
            text += "  \(Figures.duration(elapsed * ((1 - share) / share))) left"
        }
        return text
    }
}
