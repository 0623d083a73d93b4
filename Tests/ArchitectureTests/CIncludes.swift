/// The headers that a C file includes.
enum CIncludes {
    /// Each included path with `isQuoted` telling `"own.h"` from `<system.h>`.
    static func headers(in source: String) -> [(path: String, isQuoted: Bool)] {
        source.split(whereSeparator: \.isNewline).compactMap { line in
            let compact = line.filter { $0 != " " && $0 != "\t" }
            guard compact.hasPrefix("#include") else { return nil }
            let operand = compact.dropFirst("#include".count)
            guard let open = operand.first, open == "\"" || open == "<" else { return nil }
            let close: Character = open == "<" ? ">" : "\""
            return (String(operand.dropFirst().prefix { $0 != close }), open == "\"")
        }
    }

    /// Says which headers of `files` do not lie in their own target, or are the project's own but
    /// reached through the system's path. `ownFiles` are the target's files as paths from its root.
    static func problems(in source: String, at path: String, ownFiles: Set<String>) -> [String] {
        let folder = path.split(separator: "/").dropLast()
        return headers(in: source).compactMap { header, isQuoted in
            let candidates = [folder.joined(separator: "/"), "include", ""].map { base in
                resolve(base.isEmpty ? header : "\(base)/\(header)")
            }
            if candidates.contains(where: ownFiles.contains) { return nil }
            if isQuoted || header.contains("cordwood") {
                return "\(path) includes \(header), which is no header of its own target"
            }
            return nil
        }
    }

    private static func resolve(_ path: String) -> String {
        var names: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            if name == "..", let last = names.last, last != ".." {
                names.removeLast()
            } else {
                names.append(name)
            }
        }
        return names.joined(separator: "/")
    }
}
