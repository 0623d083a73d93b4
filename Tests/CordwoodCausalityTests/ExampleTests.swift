import CordwoodCausality
import Testing

// What docs/causality.md shows.
@Suite struct ExampleTests {
    // example:begin
    /// A cart that is kept in two places. A client reads values and a context, and hands the context
    /// back with what it writes.
    @Test func aCartThatIsEditedInTwoPlaces() throws {
        let (paris, tokyo) = (try ActorID("paris"), try ActorID("tokyo"))
        var here = DottedVersionVectorSet<[String]>()
        try here.update(["apples"], context: VersionVector(), at: paris)
        var there = here
        let seen = here.context
        try here.update(["apples", "pears"], context: seen, at: paris)
        try there.update(["apples", "plums"], context: seen, at: tokyo)

        // Neither knew of the other: both stay, wherever and however often the sets meet.
        here.sync(there)
        #expect(here.values == [["apples", "pears"], ["apples", "plums"]])

        // Resolved once, and everywhere after that.
        try here.reconcile(at: paris) { carts in Set(carts.joined()).sorted() }
        there.sync(here)
        #expect(there.values == [["apples", "pears", "plums"]])
    }
    // example:end
}
