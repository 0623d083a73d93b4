import Testing

@testable import CordwoodBench

@Suite struct JSONLineTests {
    @Test(arguments: [
        (0.0, "0.0"), (1.0, "1.0"), (0.123456, "0.1235"), (12.3456, "12.35"), (-2.5, "-2.5"),
        (123456.7, "123457"), (.infinity, "null"), (.nan, "null"),
    ])
    func numbersHaveFourDigits(value: Double, text: String) {
        #expect(JSONValue.number(value).description == text)
    }

    @Test func stringsAreEscaped() {
        #expect(JSONValue.string("a\"b\\c\n\u{1}é").description == "\"a\\\"b\\\\c\\u000a\\u0001é\"")
    }

    @Test func objectsKeepTheirOrder() {
        let value = JSONValue.object([("z", .integer(1)), ("a", .bool(true)), ("m", .null)])
        #expect(value.description == "{\"z\": 1, \"a\": true, \"m\": null}")
    }
}
