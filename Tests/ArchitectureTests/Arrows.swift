/// Which target may import which. What is not listed is forbidden; `docs/architecture.md` has the
/// same table with the reasons.
enum Arrows {
    /// System modules that every target may use.
    static let system: Set<String> = ["Glibc", "Musl", "Darwin", "Synchronization"]

    static let allowed: [String: Set<String>] = [
        "CordwoodStorage": ["CLiburing", "CCordwoodMaps"],
        "CordwoodLog": [
            "CordwoodStorage", "CCordwoodChecksum", "CZlib", "CSnappy", "CLZ4", "CZstd",
        ],
        "CordwoodVectors": [
            "CordwoodStorage", "CCordwoodChecksum", "CCordwoodKernels", "COpenBLAS",
        ],
        "CordwoodCausality": [],
        "CordwoodCache": [],
        "CordwoodSimulation": ["CordwoodStorage"],
        "Cordwood": [
            "CordwoodStorage", "CordwoodLog", "CordwoodVectors", "CordwoodCausality",
            "CordwoodCache", "CCordwoodChecksum", "CCordwoodKernels", "CLiburing", "COpenBLAS",
            "Logging", "CoreMetrics",
        ],
        "CordwoodCLI": ["Cordwood", "ArgumentParser"],
    ]

    /// Says what is wrong with `target` importing `module`, or nil when an arrow allows it.
    static func problem(with module: String, in target: String) -> String? {
        guard let arrows = allowed[target] else {
            return "target \(target) is not in the table of arrows"
        }
        if system.contains(module) || arrows.contains(module) { return nil }
        return "\(target) must not import \(module); allowed: "
            + arrows.union(system).sorted().joined(separator: ", ")
    }
}

/// How long a source file may grow before it wants to be two.
enum LineCaps {
    static let swift = 400
    static let c = 600
}
