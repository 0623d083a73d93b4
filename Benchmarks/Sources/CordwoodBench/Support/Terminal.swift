import Glibc

/// Standard output for results, standard error for people.
enum Terminal {
    /// Prints to standard output and flushes.
    static func printLine(_ text: String) { write(text + "\n", to: 1) }

    /// A line for whoever watches; results never go here.
    static func note(_ text: String) { write("cordwood-bench: \(text)\n", to: 2) }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            // Nobody reads any more: nothing is left to be told.
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }
}
