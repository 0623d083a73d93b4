/// Numbers as people read them.
enum Figures {
    /// 1234567 as `1,234,567`.
    static func count(_ value: Int) -> String {
        var text = ""
        for (index, digit) in String(value.magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (value < 0 ? "-" : "") + String(text.reversed())
    }

    /// `512 B`, `1.5 KiB`, `2.4 MiB`, `1.0 GiB`.
    static func bytes(_ value: Int) -> String {
        if value < 1024 { return "\(value) B" }
        var scaled = Double(value) / 1024
        for unit in ["KiB", "MiB", "GiB"] {
            if scaled < 1024 { return "\(fixed(scaled, 1)) \(unit)" }
            scaled /= 1024
        }
        return "\(fixed(scaled, 1)) TiB"
    }

    /// `85 µs`, `1.24 ms`, `3.5 s`, `2 min 05 s`.
    static func duration(_ value: Duration) -> String {
        let seconds = value / .seconds(1)
        if seconds < 0.001 { return "\(fixed(seconds * 1e6, 0)) µs" }
        if seconds < 1 { return "\(fixed(seconds * 1e3, seconds < 0.01 ? 2 : 0)) ms" }
        if seconds < 60 { return "\(fixed(seconds, 1)) s" }
        // Beyond a year a guess is no use, and an `Int` might not hold it.
        let whole = Int(min(seconds, 31_536_000))
        return "\(whole / 60) min \(whole % 60 < 10 ? "0" : "")\(whole % 60) s"
    }

    /// Per second, grouped: `48,213/s`.
    static func rate(_ amount: Int, in duration: Duration) -> String {
        let seconds = max(duration / .seconds(1), 1e-9)
        return "\(count(Int(min(Double(amount) / seconds, 1e15).rounded())))/s"
    }

    /// A number with that many digits after the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let whole = Int((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let fraction = String(whole % scale)
        return "\(sign)\(whole / scale)."
            + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}

extension String {
    func paddedRight(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }

    func paddedLeft(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }
}
