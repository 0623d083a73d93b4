import CordwoodCausality
import Testing

@Suite struct CausalTraceTests {
    @Test func isWhatTheViewersParserReads() throws {
        let (paris, tokyo) = (try ActorID("paris"), try ActorID("to kyo"))
        var trace = CausalTrace()
        var (here, there) = (VersionVector(), VersionVector())
        try here.increment(paris)
        try trace.record("put apples", at: paris, clock: here)
        try here.increment(paris)
        try trace.record("send\nthe cart", at: paris, clock: here)
        there.merge(here)
        try there.increment(tokyo)
        try trace.record("receive the cart", at: tokyo, clock: there)
        #expect(try trace.text == Golden.text("trace.log"))
        // The viewer's own expression takes every event.
        let events = trace.text.matches(of: /(?<host>\S*) (?<clock>\{.*\})\n(?<event>.*)/)
        #expect(events.map { String($0.host) } == ["paris", "paris", "0x746f206b796f"])
        #expect(events.map { String($0.event) }.last == "receive the cart")
    }

    @Test func anEventThatSkipsOneIsRefused() throws {
        let actor = try ActorID("a")
        var trace = CausalTrace()
        var clock = VersionVector()
        #expect { try trace.record("none", at: actor, clock: clock) } throws: {
            ($0 as? CausalityError)?.code == .eventOutOfOrder
        }
        try clock.increment(actor)
        try clock.increment(actor)
        #expect(throws: CausalityError.self) { try trace.record("2", at: actor, clock: clock) }
        #expect(trace.text.isEmpty)
    }
}
