import Testing

@testable import CordwoodCLI

@Suite struct JSONTests {
    @Test func escapesWhatJSONForbids() {
        let text = "a\"b\\c\nd\re\tf\u{0}g\u{1F}h\u{7F}é🪵/"
        #expect(
            JSON.string(text).description
                == "\"a\\\"b\\\\c\\nd\\re\\tf\\u0000g\\u001fh\u{7F}é🪵/\"")
    }

    @Test func keepsTheOrderOfKeys() {
        let value = JSON.object([
            ("z", .count(1)), ("a\"", .array([.null, .boolean(true), .unsigned(.max)])),
            ("n", .integer(-5)),
        ])
        #expect(
            value.description == "{\"z\":1,\"a\\\"\":[null,true,18446744073709551615],\"n\":-5}")
    }

    @Test(arguments: [
        (0.5, "0.5"), (-1e-7, "-1e-07"), (.infinity, "null"), (.nan, "null"), (3, "3.0"),
    ])
    func writesOnlyNumbersThatJSONHas(number: Double, expected: String) {
        #expect(JSON.number(number).description == expected)
    }

    /// The vectors of RFC 4648.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
    func encodesBase64(text: String, expected: String) {
        #expect(JSON.base64(Array(text.utf8)).plain == expected)
    }

    @Test func tellsTextFromBytes() {
        #expect(JSON.text([0xC3, 0xA9]).plain == "é")
        #expect(JSON.text([0xC3]).description == "null")
        #expect(JSON.text(nil).description == "null")
        #expect(JSON.base64([0xFB, 0xFF]).plain == "+/8=")
    }
}
