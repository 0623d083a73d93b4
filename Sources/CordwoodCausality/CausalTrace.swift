/// A record of events and of what each had seen, as text that the viewer ShiViz draws: a line for each
/// actor, and an arrow for each message.
///
/// A line of clock and a line of text an event, for ShiViz's default parser
/// `(?<host>\S*) (?<clock>{.*})\n(?<event>.*)` (Beschastnikh et al., "Debugging distributed systems",
/// 2016). Not thread-safe; a trace grows with every event, so it is for tests and for looking closely.
public struct CausalTrace: Sendable {
    /// The trace, to be pasted into the viewer.
    public private(set) var text = ""
    private var seen = VersionVector()

    public init() {}

    /// Adds an event. O(actors).
    ///
    /// - Parameters:
    ///   - event: what happened; line breaks become spaces.
    ///   - clock: what `actor` has seen, this event included.
    /// - Throws: ``CausalityError/Code/eventOutOfOrder`` unless the clock counts this event as the next
    ///   one of the actor, which the viewer needs.
    public mutating func record(
        _ event: String, at actor: ActorID, clock: VersionVector
    ) throws(CausalityError) {
        let expected = seen[actor] &+ 1
        guard expected != 0, clock[actor] == expected else {
            throw CausalityError(
                .eventOutOfOrder,
                "expected event \(expected) of actor \(actor), found \(clock[actor])")
        }
        seen.raise(actor, to: expected)
        let fields = clock.entries.map { "\"\(Self.host($0.actor))\":\($0.counter)" }
        let line = String(String.UnicodeScalarView(event.unicodeScalars.map(Self.inLine)))
        text += "\(Self.host(actor)) {\(fields.joined(separator: ", "))}\n\(line)\n"
    }

    /// The viewer's names end at a blank, and stand in JSON.
    private static func host(_ actor: ActorID) -> String {
        let name = actor.description
        let isPlain = name.unicodeScalars.allSatisfy {
            !$0.properties.isWhitespace && $0 != "\"" && $0 != "\\"
        }
        return isPlain ? name : "0x" + Text.hexadecimal(actor.bytes)
    }

    private static func inLine(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar {
        case "\n", "\r", "\u{B}", "\u{C}", "\u{85}", "\u{2028}", "\u{2029}": " "
        default: scalar
        }
    }
}
