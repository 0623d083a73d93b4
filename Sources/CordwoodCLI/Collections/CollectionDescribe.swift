#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood collection describe`
struct CollectionDescribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe", abstract: "Show a collection's configuration and size.")

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The collection's name.") var name: String
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await DatabaseAccess.withDatabase(at: location.directory) { database in
            let collection = try await database.collection(named: name)
            let segments = await collection.segments
            let members = await members(of: collection)
            let damage = collection.damage
            let state = collection.isSealing ? "rebuilding" : "waiting"
            if json {
                let described = segments.map { describe($0, collection.configuration.index) }
                let all =
                    members + [
                        ("segments", JSON.array(described)),
                        ("damaged", JSON.array(damage.map { describe($0, state) })),
                        ("notes", JSON.array(database.recovery.notes.map { .string($0) })),
                    ]
                return try Output.standard.line(JSON.object(all).description)
            }
            for (key, value) in members {
                try Output.standard.line("\(key.paddedRight(to: 21))\(value.plain)")
            }
            try show(segments)
            for item in damage {
                let place = item.segment.map { "segment \($0)" } ?? "all segments"
                try Output.standard.line("damaged, \(state): \(place): \(item.problem)")
            }
            for note in database.recovery.notes { try Output.standard.line(note) }
        }
    }

    private func members(of collection: Cordwood.Collection) async -> [(String, JSON)] {
        let configuration = collection.configuration
        var members: [(String, JSON)] = [
            ("collection", .string(collection.name)),
            ("points", .count(collection.count)),
            ("dimensions", .count(configuration.dimensions)),
            ("metric", .string(configuration.metric.rawValue)),
            ("index", .string(configuration.index.name)),
            ("quantization", .string(configuration.index.quantization.rawValue)),
            ("appliedOffset", .integer(collection.appliedOffset)),
            ("bytesInMemory", .count(await collection.bytesInMemory())),
            ("sealAfter", .count(configuration.sealAfter)),
            ("head", .count(collection.headCount)),
        ]
        if case .disk(let disk) = configuration.index {
            members.append(("memoryCapBytes", .count(disk.memoryCapBytes)))
            members.append(("buildMemoryCapBytes", .count(disk.buildMemoryCapBytes)))
        }
        if let failure = collection.sealFailure {
            members.append(("sealFailure", .string("\(failure)")))
        }
        return members
    }

    private func describe(_ segment: SegmentSummary, _ index: IndexKind) -> JSON {
        .object([
            ("segment", .integer(segment.number)),
            ("index", .string(index.name)),
            ("quantization", .string(index.quantization.rawValue)),
            ("vectors", .count(segment.vectorCount)),
            ("live", .count(segment.liveCount)),
            ("bytes", .count(segment.bytes)),
            ("bytesInMemory", .count(segment.bytesInMemory)),
            ("firstOffset", .integer(segment.offsets.lowerBound)),
            ("endOffset", .integer(segment.offsets.upperBound)),
        ])
    }

    /// Without a segment it is all of them.
    private func describe(_ damage: SegmentDamage, _ state: String) -> JSON {
        var members: [(String, JSON)] = []
        if let segment = damage.segment { members.append(("segment", .integer(segment))) }
        return .object(
            members + [("state", .string(state)), ("problem", .string(damage.problem))])
    }

    private func show(_ segments: [SegmentSummary]) throws {
        guard !segments.isEmpty else { return }
        let table = Table(
            headings: ["segment", "vectors", "live", "bytes", "in memory", "first offset", "end"],
            rows: segments.map { segment in
                [
                    "\(segment.number)", "\(segment.vectorCount)", "\(segment.liveCount)",
                    "\(segment.bytes)", "\(segment.bytesInMemory)",
                    "\(segment.offsets.lowerBound)", "\(segment.offsets.upperBound)",
                ]
            })
        try Output.standard.line(table.description)
    }
}

#endif
