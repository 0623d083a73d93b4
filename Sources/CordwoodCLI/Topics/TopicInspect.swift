#if CommandLine
import ArgumentParser
import Cordwood

/// `cordwood topic inspect`: what the files hold.
struct TopicInspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Print what the files hold, from the files alone.",
        discussion: """
            Reads and changes nothing: it takes no lock, so it also works while another process \
            has the database open, and while files are damaged. Damage is printed with its place \
            and reason, and inspection goes on behind it. Without a topic, looks at all topics \
            and collections. Exit status: 0 when all is sound, 2 when damage was found, 1 when \
            something could not be read.
            """)

    @OptionGroup var location: DirectoryArgument
    @Argument(help: "The topic's name; all topics and collections when none is given.")
    var topic: String?
    @Option(help: "Look at only this partition.") var partition: Int?
    @Option(help: "Look at only the segment of this base offset.") var segment: Int64?
    @Flag(help: "Print each record.") var records = false
    @Flag(help: "Print each entry of the offset, time and transaction indexes.") var index = false
    @Flag(
        help: """
            Print the state of each producer, in the snapshots and as the batches have it at the end.
            """)
    var producers = false
    @Flag(
        help: "Print transactions: ended ones at their markers, open ones at the end.")
    var transactions = false
    @Flag(help: "Print one JSON object a line.") var json = false

    func validate() throws {
        if partition != nil, topic == nil { throw ValidationError("--partition needs a topic") }
    }

    func run() async throws {
        var options = InspectionOptions()
        options.showsRecords = records
        options.showsIndexes = index
        options.showsProducers = producers
        options.showsTransactions = transactions
        options.baseOffset = segment
        let isSound = try await DatabaseAccess.withFiles(at: location.directory) { database in
            let printer = ItemPrinter(asJSON: json)
            var isSound = database.catalogDamage.isEmpty
            for damage in database.catalogDamage { try printer.print(damage) }
            for place in try database.places(topic: topic, partition: partition) {
                let report = try await database.inspect(place, options, emit: printer.print)
                isSound = isSound && report.isSound
            }
            return isSound
        }
        if !isSound { throw DamageFound.error(in: location.directory) }
    }
}

/// Prints what an inspection finds: `file@position kind name=value …`, or as JSON.
struct ItemPrinter {
    var asJSON: Bool

    func print(_ item: InspectionItem) throws {
        try Output.standard.line(asJSON ? Self.object(item).description : Self.line(item))
    }

    func print(_ damage: Damage) throws {
        let text = "\(damage)"
        try Output.standard.line(
            asJSON
                ? JSON.object([("kind", .string("damage")), ("problem", .string(text))]).description
                : "\(damage.path) damage: \(damage.problem)")
    }

    private static func line(_ item: InspectionItem) -> String {
        var line = item.path
        if let position = item.position { line += "@\(position)" }
        line += " \(item.kind.rawValue)"
        for (name, value) in item.fields { line += " \(name)=\(text(value))" }
        return line
    }

    private static func text(_ value: InspectionItem.Value) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .hexadecimal(let number): hexadecimal(number)
        // A value with a blank in it is quoted, so that fields can be told apart.
        case .text(let text): text.contains { $0 == " " || $0 == "\"" } ? quoted(text) : text
        case .boolean(let boolean): "\(boolean)"
        case .bytes(nil): "null"
        case .bytes(let bytes?):
            switch JSON.text(bytes) {
            case .string(let text): quoted(text)
            default: "base64:\(JSON.base64(bytes).plain)"
            }
        }
    }

    private static func quoted(_ text: String) -> String { JSON.string(text).description }

    private static func hexadecimal(_ number: UInt32) -> String {
        let digits = String(number, radix: 16)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    private static func object(_ item: InspectionItem) -> JSON {
        var members: [(String, JSON)] = [
            ("kind", .string(item.kind.rawValue)), ("path", .string(item.path)),
        ]
        if let position = item.position { members.append(("at", .count(position))) }
        for (name, value) in item.fields {
            switch value {
            case .integer(let number): members.append((name, .integer(number)))
            case .hexadecimal(let number): members.append((name, .string(hexadecimal(number))))
            case .text(let text): members.append((name, .string(text)))
            case .boolean(let boolean): members.append((name, .boolean(boolean)))
            case .bytes(let bytes):
                let text = JSON.text(bytes)
                if case .null = text, let bytes {
                    members.append(("\(name)Base64", JSON.base64(bytes)))
                } else {
                    members.append((name, text))
                }
            }
        }
        return .object(members)
    }
}

#endif
